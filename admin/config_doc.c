// SPDX-License-Identifier: Apache-2.0
// The document is read with the validators of the single writes, and to its end:
// somebody who applies a whole configuration wants to hear of every mistake, and
// of none that was passed over in silence.
#include "admin/config_doc.h"

#include <stdlib.h>
#include <string.h>

#include "admin/key_body.h"
#include "common/model/model.h"

void config_doc_fini(struct config_doc *c)
{
    import_fini(&c->models);
    for (size_t i = 0; i < c->key_count; i++)
        key_doc_destroy(c->keys[i]);
    free(c->keys);
    json_decref(c->key_ids);
    *c = (struct config_doc){.key_count = 0};
}

bool config_doc_names_key(const struct config_doc *c, struct slice key_id)
{
    return json_object_getn(c->key_ids, key_id.ptr, key_id.len) != NULL;
}

// --- reading

static void read_model(struct config_doc *c, const json_t *entry, size_t i, int64_t now_s,
                       struct mistakes *mistakes)
{
    char pointer[MISTAKE_POINTER_MAX];
    size_t before = mistakes->count;
    struct slice id = doc_string(json_object_get(entry, "id"));
    mistake_pointer_index(pointer, "#/models", i);
    json_t *whole = NULL;
    if (id.ptr == NULL)
        mistakes_add(mistakes, "#/id", "required", "a model needs an id");
    else
        whole = model_complete(entry, id, now_s, mistakes);
    if (whole != NULL) {
        size_t at = c->models.count;
        json_decref(whole);
        import_add(&c->models, id, json_copy((json_t *)(uintptr_t)entry));
        if (c->models.entries[at].reason != NULL)
            mistakes_add(mistakes, "#/id", "invalid", "%s", c->models.entries[at].reason);
    }
    mistakes_prefix(mistakes, before, pointer);
}

static void read_key(struct config_doc *c, const json_t *entry, size_t i, struct mistakes *mistakes)
{
    char pointer[MISTAKE_POINTER_MAX];
    size_t before = mistakes->count;
    struct key_doc *k = key_body_config(entry, mistakes);
    mistake_pointer_index(pointer, "#/keys", i);
    if (k != NULL && json_object_get(c->key_ids, k->id) != NULL) {
        mistakes_add(mistakes, "#/id", "repeated", "this key was there before");
        key_doc_destroy(k);
    } else if (k != NULL) {
        json_object_set_new(c->key_ids, k->id, json_integer((json_int_t)c->key_count));
        c->keys[c->key_count++] = k;
    }
    mistakes_prefix(mistakes, before, pointer);
}

static const json_t *part(const json_t *doc, const char *name, bool *has, struct mistakes *mistakes)
{
    char pointer[MISTAKE_POINTER_MAX];
    const json_t *array = json_object_get(doc, name);
    *has = array != NULL;
    if (array == NULL || json_is_array(array))
        return array;
    mistake_pointer(pointer, "#", slice_of(name));
    mistakes_add(mistakes, pointer, "invalid", "must be an array");
    return NULL;
}

bool config_doc_read(const json_t *doc, int64_t now_s, struct config_doc *out,
                     struct mistakes *mistakes)
{
    static const char *const known[] = {"models", "keys", "object", "epoch", "revision"};
    const char *name;
    json_t *value;
    *out = (struct config_doc){.models = {.carries_status = true, .ids = json_object()},
                               .key_ids = json_object()};
    if (!json_is_object(doc)) {
        mistakes_add(mistakes, "#", "invalid", "must be an object with models and keys");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)doc, name, value)
    {
        bool found = false;
        for (size_t i = 0; i < CM_ARRAY_LEN(known) && !found; i++)
            found = strcmp(known[i], name) == 0;
        if (!found)
            mistakes_add_unknown(mistakes, "#", slice_of(name), known, CM_ARRAY_LEN(known));
    }
    const json_t *models = part(doc, "models", &out->has_models, mistakes);
    const json_t *keys = part(doc, "keys", &out->has_keys, mistakes);
    out->keys = xcalloc(json_array_size(keys) + 1, sizeof(*out->keys));
    for (size_t i = 0; i < json_array_size(models); i++)
        read_model(out, json_array_get(models, i), i, now_s, mistakes);
    for (size_t i = 0; i < json_array_size(keys); i++)
        read_key(out, json_array_get(keys, i), i, mistakes);
    return mistakes->count == 0;
}

// --- writing

bool config_doc_write_model(struct buf *out, struct slice record)
{
    struct doc_error error;
    struct model *valid = model_parse(record, NULL);
    if (valid == NULL)
        return false;
    model_unref(valid);
    json_t *doc = doc_parse(record, &error);
    json_object_del(doc, "revision");
    doc_write(out, doc);
    json_decref(doc);
    return true;
}

static json_t *digest_of(const struct key_secret *s)
{
    char hex[SECRET_HEX_LEN + 1];
    secret_digest_hex(&s->digest, hex);
    return json_string(hex);
}

static void add_secrets(json_t *shown, const struct key_doc *k, int64_t now_s)
{
    json_t *grace = json_array();
    json_object_set_new(shown, "secret_sha256", digest_of(&k->secrets[0]));
    for (size_t i = 1; i < k->secret_count; i++) {
        const struct key_secret *s = &k->secrets[i];
        if (s->until <= now_s)
            continue;
        json_t *item = json_object();
        json_object_set_new(item, "secret_sha256", digest_of(s));
        json_object_set_new(item, "until", doc_time(s->until));
        json_array_append_new(grace, item);
    }
    if (json_array_size(grace) > 0)
        json_object_set(shown, "grace", grace);
    json_decref(grace);
}

void config_doc_write_key(struct buf *out, const struct key_doc *k, int64_t now_s, bool hashes)
{
    json_t *shown = json_object();
    json_object_set_new(shown, "id", json_string(k->id));
    json_object_set_new(shown, "name", json_string(k->name));
    json_object_set_new(shown, "enabled", json_boolean(k->enabled));
    if (k->secrets[0].hint[0] != '\0')
        json_object_set_new(shown, "hint", json_string(k->secrets[0].hint));
    json_object_set(shown, "tags", k->tags);
    json_object_set(shown, "aliases", k->aliases);
    json_object_set_new(shown, "created_at", doc_time(k->created_at));
    json_object_set_new(shown, "expires_at", doc_time(k->expires_at));
    if (hashes)
        add_secrets(shown, k, now_s);
    doc_write(out, shown);
    json_decref(shown);
}
