// SPDX-License-Identifier: Apache-2.0
// Any bytes: either a mistake with a place and a readable reason, or a document
// whose written form is UTF-8, reads back as the same document, and is written
// the same again.
#include "common/model/doc.h"

#include "tests/fuzz/fuzz.h"

static void check_error(const struct doc_error *error)
{
    struct slice text = slice_of(error->text);
    CM_ASSERT(error->line >= 1 && error->column >= 1);
    CM_ASSERT(text.len > 0 && slice_is_utf8(text));
}

static void check_document(const json_t *doc)
{
    struct buf first = {0}, second = {0};
    struct doc_error error;
    doc_write(&first, doc);
    json_t *again = doc_parse(buf_slice(&first), &error);
    CM_ASSERT(slice_is_utf8(buf_slice(&first)));
    CM_ASSERT(again != NULL && json_equal(doc, again));
    doc_write(&second, again);
    CM_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    json_decref(again);
    buf_fini(&first);
    buf_fini(&second);
}

// Any bytes as a string come back, but for what is not UTF-8.
static void check_string(struct slice text)
{
    struct buf out = {0};
    doc_write_string(&out, text);
    struct doc_error error;
    json_t *string = doc_parse(buf_slice(&out), &error);
    CM_ASSERT(slice_is_utf8(buf_slice(&out)));
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0')
            text = SLICE_NONE; // what the parser refuses
    if (text.len > 0) {
        CM_ASSERT(string != NULL);
        CM_ASSERT(slice_equal(doc_string(string), text) == slice_is_utf8(text));
    }
    json_decref(string);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_make(data, size);
    struct doc_error error;
    json_t *doc = doc_parse(text, &error);
    if (doc == NULL)
        check_error(&error);
    else
        check_document(doc);
    json_decref(doc);
    check_string(text);
    return 0;
}
