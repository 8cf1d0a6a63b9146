// SPDX-License-Identifier: Apache-2.0
// Any bytes as a stored record, as a client's document and as a patch. What is
// accepted gives a public object that is JSON, and a record that reads back to
// the same one; what is refused says why.
#include "common/model/model.h"

#include "tests/fuzz/fuzz.h"

static json_t *must_parse(struct slice text)
{
    struct doc_error error;
    json_t *doc = doc_parse(text, &error);
    CM_ASSERT(doc != NULL);
    return doc;
}

static void check_parts(const struct model *m)
{
    struct buf body = {0};
    buf_append_str(&body, "{\"id\":");
    buf_append_slice(&body, m->id_json);
    buf_append_slice(&body, m->middle);
    buf_append_char(&body, '}');
    CM_ASSERT(slice_equal(buf_slice(&body), m->body));
    buf_fini(&body);
    json_t *doc = must_parse(m->body);
    CM_ASSERT(slice_equal(doc_string(json_object_get(doc, "id")), m->id));
    CM_ASSERT(slice_equal(doc_string(json_object_get(doc, "owned_by")), m->owned_by));
    CM_ASSERT(json_integer_value(json_object_get(doc, "created")) == m->created);
    json_decref(doc);
}

// The record of a completed document reads back and is canonical.
static struct model *check_completed(const json_t *doc, uint64_t revision)
{
    struct buf first = {0}, second = {0};
    model_write_record(&first, doc, revision);
    struct model *m = model_parse(buf_slice(&first), NULL);
    CM_ASSERT(m != NULL && m->revision == revision);
    check_parts(m);
    json_t *record = must_parse(buf_slice(&first));
    CM_ASSERT(model_same(doc, record));
    model_write_record(&second, record, revision);
    CM_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    json_decref(record);
    buf_fini(&first);
    buf_fini(&second);
    return m;
}

// A record that was accepted survives the way through the admin's shape.
static void check_record(struct slice record, const struct model *m)
{
    check_parts(m);
    struct buf shape = {0};
    bool ok = model_write_admin(&shape, record);
    CM_ASSERT(ok);
    json_t *doc = must_parse(buf_slice(&shape));
    json_t *whole = model_complete(doc, m->id, 1, NULL);
    CM_ASSERT(whole != NULL);
    struct model *again = check_completed(whole, m->revision);
    CM_ASSERT(digest_equal(m->digest, again->digest) && m->active == again->active);
    model_unref(again);
    json_decref(whole);
    json_decref(doc);
    buf_fini(&shape);
}

static void check_client(const json_t *doc, const json_t *stored)
{
    const struct slice id = SLICE_LIT("a/b");
    struct mistakes m;
    mistakes_init(&m);
    json_t *whole =
        stored == NULL ? model_complete(doc, id, 7, &m) : model_patch(stored, doc, id, 7, &m);
    CM_ASSERT((whole == NULL) == (m.count > 0));
    for (size_t i = 0; i < m.count && i < MISTAKES_MAX; i++)
        CM_ASSERT(m.items[i].pointer[0] == '#' && slice_is_utf8(slice_of(m.items[i].detail)));
    if (whole != NULL)
        model_unref(check_completed(whole, 3));
    json_decref(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char stored_text[] = "{\"capabilities\":{\"tools\":true},\"context_length\":5}";
    struct slice text = slice_make(data, size);
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    struct model *m = model_parse(text, &mistakes);
    CM_ASSERT((m == NULL) == (mistakes.count > 0));
    if (m != NULL)
        check_record(text, m);
    model_unref(m);

    struct doc_error error;
    json_t *doc = doc_parse(text, &error);
    if (doc == NULL)
        return 0;
    json_t *stored = must_parse(slice_of(stored_text));
    check_client(doc, NULL);
    check_client(doc, stored);
    json_decref(stored);
    json_decref(doc);
    return 0;
}
