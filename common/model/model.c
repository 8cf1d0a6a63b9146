// SPDX-License-Identifier: Apache-2.0
// Models in their three shapes: the record in Redis, the document that the admin
// works on, and the rendered object that answers are made of. model_fields holds
// the rules and the byte forms; this file moves between the shapes.
//
// A rendered model is one allocation: the struct, the public object, owned_by, and
// the record that it was made of (so that it can be kept on disk as it was read).
// A record or document with mistakes makes nothing; the mistakes say why.
#include "common/model/model.h"

#include <stdlib.h>

#include "common/model/model_fields.h"

// Where the parts of a model are in its allocation.
struct layout {
    size_t body, id_json, middle, body_end, record;
};

static struct layout write_model(struct buf *out, const struct model_fields *f, struct slice record)
{
    struct layout l = {.body = out->len};
    buf_append_str(out, "{\"id\":");
    l.id_json = out->len;
    doc_write_string(out, f->id);
    l.middle = out->len;
    model_fields_write_middle(out, f);
    buf_append_char(out, '}');
    l.body_end = out->len;
    buf_append_slice(out, f->owned_by);
    l.record = out->len;
    buf_append_slice(out, record);
    return l;
}

static struct model *render(const struct model_fields *f, uint64_t revision, struct slice record)
{
    const struct model blank = {.refs = 1, .active = f->active, .created = f->created};
    struct buf memory = {0};
    buf_reserve(&memory, 1024);
    buf_append(&memory, &blank, sizeof(blank));
    struct layout l = write_model(&memory, f, record);

    size_t len;
    char *base = buf_steal(&memory, &len);
    base = xrealloc(base, len); // what was reserved too much goes back
    struct model *m = (struct model *)(void *)base;
    m->revision = revision;
    m->body = slice_make(base + l.body, l.body_end - l.body);
    m->id_json = slice_make(base + l.id_json, l.middle - l.id_json);
    m->middle = slice_make(base + l.middle, l.body_end - 1 - l.middle);
    m->owned_by = slice_make(base + l.body_end, l.record - l.body_end);
    m->record = slice_make(base + l.record, len - l.record);
    m->id = slice_make(m->id_json.ptr + 1, m->id_json.len - 2); // the grammar needs no escapes
    m->digest = digest_record(m->id, m->body);
    m->etag = etag_make(m->digest, false);
    return m;
}

// The record's document, for fields to look into; NULL with mistakes.
static json_t *read_record(struct slice record, struct model_fields *fields, uint64_t *revision,
                           struct mistakes *mistakes)
{
    if (record.len >= MODEL_RECORD_MAX) {
        mistakes_add(mistakes, "#", "out_of_range", "a record must be shorter than %d bytes",
                     MODEL_RECORD_MAX);
        return NULL;
    }
    struct doc_error error;
    json_t *doc = doc_parse(record, &error);
    if (doc == NULL) {
        mistakes_add(mistakes, "#", "invalid", "%s at column %d", error.text, error.column);
        return NULL;
    }
    if (model_fields_from_record(doc, fields, revision, mistakes))
        return doc;
    json_decref(doc);
    return NULL;
}

struct model *model_parse(struct slice record, struct mistakes *mistakes)
{
    struct mistakes own;
    struct model_fields fields;
    uint64_t revision;
    mistakes_init(&own);
    json_t *doc = read_record(record, &fields, &revision, mistakes != NULL ? mistakes : &own);
    if (doc == NULL)
        return NULL;
    struct model *m = render(&fields, revision, record);
    json_decref(doc);
    return m;
}

struct model *model_ref(struct model *m)
{
    CM_ASSERT(m->refs > 0);
    m->refs++;
    return m;
}

void model_unref(struct model *m)
{
    if (m == NULL)
        return;
    CM_ASSERT(m->refs > 0);
    if (--m->refs == 0)
        free(m);
}

bool model_write_admin(struct buf *out, struct slice record)
{
    struct mistakes mistakes;
    struct model_fields fields;
    uint64_t revision;
    mistakes_init(&mistakes);
    json_t *doc = read_record(record, &fields, &revision, &mistakes);
    if (doc == NULL)
        return false;
    buf_append_str(out, "{\"id\":");
    doc_write_string(out, fields.id);
    model_fields_write_middle(out, &fields);
    buf_printf(out, ",\"status\":\"%s\",\"revision\":", model_fields_status(&fields));
    buf_append_u64(out, revision);
    buf_append_char(out, '}');
    json_decref(doc);
    return true;
}

void model_write_record(struct buf *out, const json_t *doc, uint64_t revision)
{
    struct mistakes mistakes;
    struct model_fields fields;
    mistakes_init(&mistakes);
    // A completed document has no gaps, so the time is of no account.
    bool ok = model_fields_from_client(doc, doc_string(json_object_get(doc, "id")), 0, &fields,
                                       &mistakes);
    CM_ASSERT(ok);
    model_fields_write_record(out, &fields, revision);
}

static void set(json_t *object, const char *member, json_t *value)
{
    int failed = json_object_set_new(object, member, value);
    CM_ASSERT(!failed); // every value was checked to be what JSON can hold
}

static json_t *string_of(struct slice text)
{
    return json_stringn(text.ptr, text.len);
}

static json_t *array_of(const struct modalities *m)
{
    json_t *array = json_array();
    for (size_t i = 0; i < m->count; i++) {
        int failed = json_array_append_new(array, string_of(m->items[i]));
        CM_ASSERT(!failed);
    }
    return array;
}

static void set_capabilities(json_t *doc, const struct model_fields *f)
{
    if (f->flag_count == 0)
        return;
    json_t *flags = json_object();
    for (size_t i = 0; i < f->flag_count; i++)
        set(flags, f->flags[i].ptr, json_true()); // views of keys, which end in NUL
    set(doc, "capabilities", flags);
}

static json_t *document_of(const struct model_fields *f)
{
    json_t *doc = json_object(), *architecture = json_object();
    set(doc, "id", string_of(f->id));
    set(doc, "display_name", string_of(f->display_name));
    set(doc, "created", json_integer(f->created));
    set(doc, "owned_by", string_of(f->owned_by));
    if (f->context_length != 0)
        set(doc, "context_length", json_integer(f->context_length));
    if (f->max_completion_tokens != 0)
        set(doc, "max_completion_tokens", json_integer(f->max_completion_tokens));
    set(architecture, "input_modalities", array_of(&f->input));
    set(architecture, "output_modalities", array_of(&f->output));
    set(doc, "architecture", architecture);
    set_capabilities(doc, f);
    set(doc, "status", json_string(model_fields_status(f)));
    return doc;
}

json_t *model_complete(const json_t *doc, struct slice id, int64_t now_s, struct mistakes *mistakes)
{
    struct mistakes own;
    struct model_fields fields;
    mistakes_init(&own);
    if (!model_fields_from_client(doc, id, now_s, &fields, mistakes != NULL ? mistakes : &own))
        return NULL;
    return document_of(&fields);
}

// RFC 7396 section 2, but a null stays in the result instead of removing its
// member: the validator takes both alike, and so sees a misspelt name that was to
// be removed. The result shares nothing that is changed later.
static json_t *merge(const json_t *target, const json_t *patch)
{
    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *out = json_is_object(target) ? json_copy((json_t *)target) : json_object();
    json_t *p = (json_t *)patch; // the iteration changes nothing
    for (void *at = json_object_iter(p); at != NULL; at = json_object_iter_next(p, at)) {
        const char *member = json_object_iter_key(at);
        set(out, member, merge(json_object_get(out, member), json_object_iter_value(at)));
    }
    return out;
}

json_t *model_patch(const json_t *stored, const json_t *patch, struct slice id, int64_t now_s,
                    struct mistakes *mistakes)
{
    json_t *merged = merge(stored, patch);
    json_t *doc = model_complete(merged, id, now_s, mistakes);
    json_decref(merged);
    return doc;
}

static json_t *without_revision(const json_t *doc)
{
    json_t *copy = json_copy((json_t *)doc);
    json_object_del(copy, "revision");
    return copy;
}

bool model_same(const json_t *a, const json_t *b)
{
    json_t *x = without_revision(a), *y = without_revision(b);
    bool same = json_equal(x, y) != 0;
    json_decref(x);
    json_decref(y);
    return same;
}
