// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration document: what is accepted is written as an export
// and read again to the same, and no id is there twice.
#include "admin/config_doc.h"

#include <string.h>

#include "common/model/model.h"
#include "common/model/names.h"
#include "tests/fuzz/fuzz.h"

static void write_models(struct buf *out, const struct config_doc *c)
{
    for (size_t i = 0; i < c->models.count; i++) {
        struct buf record = {0};
        struct slice id = slice_of(c->models.entries[i].id);
        json_t *whole = model_complete(c->models.entries[i].doc, id, 1, NULL);
        CM_ASSERT(whole != NULL && names_is_model_id(id));
        model_write_record(&record, whole, 1);
        buf_append_str(out, i > 0 ? "," : "");
        CM_ASSERT(config_doc_write_model(out, buf_slice(&record)));
        json_decref(whole);
        buf_fini(&record);
    }
}

static void write_keys(struct buf *out, const struct config_doc *c)
{
    for (size_t i = 0; i < c->key_count; i++) {
        CM_ASSERT(names_is_key_id(slice_of(c->keys[i]->id)));
        CM_ASSERT(config_doc_names_key(c, slice_of(c->keys[i]->id)));
        buf_append_str(out, i > 0 ? "," : "");
        config_doc_write_key(out, c->keys[i], 0, c->keys[i]->secret_count > 0);
    }
}

static void write_whole(struct buf *out, const struct config_doc *c)
{
    buf_append_str(out, "{\"models\":[");
    write_models(out, c);
    buf_append_str(out, "],\"keys\":[");
    write_keys(out, c);
    buf_append_str(out, "]}");
}

static bool read_text(struct slice text, struct config_doc *out)
{
    struct doc_error error;
    struct mistakes mistakes;
    json_t *doc = doc_parse(text, &error);
    mistakes_init(&mistakes);
    bool good = doc != NULL && config_doc_read(doc, 1, out, &mistakes);
    CM_ASSERT(good || doc == NULL || mistakes.count > 0);
    json_decref(doc);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_doc c = {.key_count = 0}, again = {.key_count = 0};
    struct buf first = {0}, second = {0};
    if (read_text(slice_make(data, size), &c)) {
        write_whole(&first, &c);
        bool good = read_text(buf_slice(&first), &again);
        CM_ASSERT(good && again.key_count == c.key_count);
        write_whole(&second, &again);
        CM_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    }
    config_doc_fini(&again);
    config_doc_fini(&c);
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
