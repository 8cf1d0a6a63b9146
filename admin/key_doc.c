// SPDX-License-Identifier: Apache-2.0
// One document per key is the truth; the records that workers read, one for each
// secret that is still good, are projected from it at every write, all of them,
// so that a record can never be left behind with an old permission.
#include "admin/key_doc.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/util.h"
#include "common/model/doc.h"
#include "common/model/names.h"

struct key_doc *key_doc_create(const char *id, int64_t now_s)
{
    struct key_doc *k = xcalloc(1, sizeof(*k));
    CM_ASSERT(strlen(id) <= KEY_ID_MAX);
    memcpy(k->id, id, strlen(id) + 1);
    k->name = xstrndup("", 0);
    k->enabled = true;
    k->tags = json_array();
    k->aliases = json_array();
    k->created_at = now_s;
    return k;
}

struct key_doc *key_doc_copy(const struct key_doc *k)
{
    struct key_doc *copy = xmalloc(sizeof(*copy));
    *copy = *k;
    copy->name = xstrndup(k->name, strlen(k->name));
    copy->tags = json_deep_copy(k->tags);
    copy->aliases = json_deep_copy(k->aliases);
    return copy;
}

void key_doc_destroy(struct key_doc *k)
{
    if (k == NULL)
        return;
    free(k->name);
    json_decref(k->tags);
    json_decref(k->aliases);
    free(k);
}

static bool parse_secret(const json_t *item, struct key_secret *out)
{
    struct slice hint = doc_string(json_object_get(item, "hint"));
    if (!secret_digest_parse(doc_string(json_object_get(item, "sha256")), &out->digest) ||
        hint.len > SECRET_HINT_LEN)
        return false;
    if (hint.len > 0)
        memcpy(out->hint, hint.ptr, hint.len);
    out->hint[hint.len] = '\0';
    out->until = json_integer_value(json_object_get(item, "until"));
    return true;
}

static bool parse_secrets(const json_t *array, struct key_doc *k)
{
    size_t count = json_array_size(array);
    if (count == 0 || count > KEY_SECRETS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!parse_secret(json_array_get(array, i), &k->secrets[i]))
            return false;
    k->secret_count = count;
    return true;
}

static struct key_doc *parse_members(const json_t *doc)
{
    struct slice id = doc_string(json_object_get(doc, "id"));
    struct slice name = doc_string(json_object_get(doc, "name"));
    json_t *tags = json_object_get(doc, "tags");
    json_t *aliases = json_object_get(doc, "aliases");
    if (!names_is_key_id(id) || name.ptr == NULL || !json_is_array(tags) || !json_is_array(aliases))
        return NULL;
    char text[KEY_ID_MAX + 1] = "";
    memcpy(text, id.ptr, id.len);
    struct key_doc *k =
        key_doc_create(text, json_integer_value(json_object_get(doc, "created_at")));
    free(k->name);
    json_decref(k->tags);
    json_decref(k->aliases);
    k->name = slice_dup(name);
    k->tags = json_incref(tags);
    k->aliases = json_incref(aliases);
    k->enabled = json_is_true(json_object_get(doc, "enabled"));
    k->expires_at = json_integer_value(json_object_get(doc, "expires_at"));
    k->revoked_at = json_integer_value(json_object_get(doc, "revoked_at"));
    k->revision = (uint64_t)json_integer_value(json_object_get(doc, "revision"));
    if (!parse_secrets(json_object_get(doc, "secrets"), k)) {
        key_doc_destroy(k);
        return NULL;
    }
    return k;
}

struct key_doc *key_doc_parse(struct slice text)
{
    struct doc_error error;
    json_t *doc = text.ptr == NULL ? NULL : doc_parse(text, &error);
    struct key_doc *k = doc == NULL ? NULL : parse_members(doc);
    json_decref(doc);
    return k;
}

static json_t *secrets_doc(const struct key_doc *k)
{
    json_t *array = json_array();
    for (size_t i = 0; i < k->secret_count; i++) {
        const struct key_secret *s = &k->secrets[i];
        char hex[SECRET_HEX_LEN + 1];
        json_t *item = json_object();
        secret_digest_hex(&s->digest, hex);
        json_object_set_new(item, "sha256", json_string(hex));
        json_object_set_new(item, "hint", s->hint[0] == '\0' ? json_null() : json_string(s->hint));
        json_object_set_new(item, "until", json_integer(s->until));
        json_array_append_new(array, item);
    }
    return array;
}

void key_doc_write(struct buf *out, const struct key_doc *k)
{
    json_t *doc = json_object();
    json_object_set_new(doc, "id", json_string(k->id));
    json_object_set_new(doc, "name", json_string(k->name));
    json_object_set_new(doc, "enabled", json_boolean(k->enabled));
    json_object_set(doc, "tags", k->tags);
    json_object_set_new(doc, "created_at", json_integer(k->created_at));
    if (k->expires_at != 0)
        json_object_set_new(doc, "expires_at", json_integer(k->expires_at));
    if (k->revoked_at != 0)
        json_object_set_new(doc, "revoked_at", json_integer(k->revoked_at));
    json_object_set_new(doc, "revision", json_integer((json_int_t)k->revision));
    json_object_set(doc, "aliases", k->aliases);
    json_object_set_new(doc, "secrets", secrets_doc(k));
    doc_write(out, doc);
    json_decref(doc);
}

const char *key_doc_status(const struct key_doc *k, int64_t now_s)
{
    if (k->revoked_at != 0)
        return "revoked";
    if (!k->enabled)
        return "disabled";
    return k->expires_at != 0 && k->expires_at <= now_s ? "expired" : "active";
}

bool key_doc_same(const struct key_doc *a, const struct key_doc *b)
{
    if (strcmp(a->name, b->name) != 0 || a->enabled != b->enabled ||
        a->expires_at != b->expires_at || a->revoked_at != b->revoked_at ||
        a->secret_count != b->secret_count || !json_equal(a->tags, b->tags) ||
        !json_equal(a->aliases, b->aliases))
        return false;
    for (size_t i = 0; i < a->secret_count; i++)
        if (!secret_digest_equal(&a->secrets[i].digest, &b->secrets[i].digest) ||
            a->secrets[i].until != b->secrets[i].until)
            return false;
    return true;
}

void key_doc_drop_lapsed(struct key_doc *k, int64_t now_s)
{
    size_t kept = 0;
    for (size_t i = 0; i < k->secret_count; i++)
        if (k->secrets[i].until == 0 || k->secrets[i].until > now_s)
            k->secrets[kept++] = k->secrets[i];
    k->secret_count = kept;
}

bool key_doc_rotate(struct key_doc *k, const struct secret_digest *digest, const char *hint,
                    int64_t grace_s, int64_t now_s)
{
    struct key_secret fresh = {.digest = *digest};
    int64_t end = now_s + grace_s;
    key_doc_drop_lapsed(k, now_s);
    if (grace_s > 0 && k->secret_count == KEY_SECRETS_MAX)
        return false;
    for (size_t i = 0; i < k->secret_count; i++)
        if (k->secrets[i].until == 0 || k->secrets[i].until > end)
            k->secrets[i].until = end;
    key_doc_drop_lapsed(k, now_s);
    memcpy(fresh.hint, hint, strlen(hint) + 1);
    memmove(&k->secrets[1], &k->secrets[0], k->secret_count * sizeof(k->secrets[0]));
    k->secrets[0] = fresh;
    k->secret_count++;
    return true;
}

bool key_doc_has(const struct key_doc *k, const struct secret_digest *digest)
{
    for (size_t i = 0; i < k->secret_count; i++)
        if (secret_digest_equal(&k->secrets[i].digest, digest))
            return true;
    return false;
}

struct key_projection key_doc_project(const struct key_doc *k, size_t i, uint64_t revision,
                                      int64_t now_s, struct buf *record)
{
    const struct key_secret *s = &k->secrets[i];
    struct key_projection p = {.deny = !k->enabled};
    int64_t expires_at = k->expires_at;
    CM_ASSERT(i < k->secret_count && k->revoked_at == 0);
    if (s->until != 0) {
        if (expires_at == 0 || s->until < expires_at)
            expires_at = s->until;
        p.ttl_s = (uint64_t)(s->until > now_s ? s->until - now_s : 0) + KEY_GRACE_SLACK_S;
    }
    key_write_record(record, revision, k->id, k->enabled ? KEY_ACTIVE : KEY_DISABLED, expires_at,
                     k->aliases);
    return p;
}
