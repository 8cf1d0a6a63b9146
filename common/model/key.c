// SPDX-License-Identifier: Apache-2.0
// Key records between the admin, which writes them, and workers, which read one
// whenever they meet a key that they do not know. Members that this version does
// not know are ignored (a newer admin may write them); a known member of another
// type or form makes the whole record invalid, and an invalid record grants
// nothing: its key answers 500, never an old permission.
#include "common/model/key.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/model/doc.h"
#include "common/model/names.h"

static const char *const state_names[] = {"active", "disabled", "revoked"};

static bool read_state(const json_t *value, enum key_state *out)
{
    struct slice word = doc_string(value);
    for (size_t i = 0; i < CM_ARRAY_LEN(state_names); i++)
        if (slice_equal(word, slice_of(state_names[i]))) {
            *out = (enum key_state)i;
            return true;
        }
    return false;
}

static bool read_id(const json_t *value, char out[KEY_ID_MAX + 1])
{
    struct slice id = doc_string(value);
    if (!names_is_key_id(id))
        return false;
    memcpy(out, id.ptr, id.len);
    out[id.len] = '\0';
    return true;
}

// An integer in 0..max.
static bool read_number(const json_t *value, int64_t max, int64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return false;
    *out = json_integer_value(value);
    return true;
}

static bool read_expiry(const json_t *value, int64_t *out)
{
    *out = 0;
    return value == NULL || read_number(value, CLOCK_UNIX_MAX, out);
}

static struct alias_set *read_aliases(const json_t *value)
{
    if (value != NULL)
        return alias_set_parse(value, "#/aliases", NULL);
    json_t *none = json_array();
    struct alias_set *set = alias_set_parse(none, "#/aliases", NULL);
    json_decref(none);
    return set;
}

static bool read_key(const json_t *doc, struct key *k)
{
    int64_t revision;
    if (!read_number(json_object_get(doc, "rev"), INT64_MAX, &revision) ||
        !read_id(json_object_get(doc, "id"), k->id) ||
        !read_state(json_object_get(doc, "state"), &k->state) ||
        !read_expiry(json_object_get(doc, "expires_at"), &k->expires_at))
        return false;
    k->revision = (uint64_t)revision;
    k->aliases = read_aliases(json_object_get(doc, "aliases"));
    return k->aliases != NULL;
}

struct key *key_parse(struct slice record)
{
    struct doc_error error;
    json_t *doc = doc_parse(record, &error);
    struct key k = {.aliases = NULL};
    bool ok = read_key(doc, &k); // members of no document, or of no object, are missing
    json_decref(doc);
    if (!ok)
        return NULL;
    k.bytes = sizeof(k) + k.aliases->bytes;
    struct key *out = xmalloc(sizeof(*out));
    *out = k;
    return out;
}

void key_destroy(struct key *k)
{
    if (k == NULL)
        return;
    alias_set_destroy(k->aliases);
    free(k);
}

static void write_scalars(struct buf *out, uint64_t revision, const char *id, enum key_state state,
                          int64_t expires_at)
{
    buf_append_str(out, "{\"rev\":");
    buf_append_u64(out, revision);
    buf_append_str(out, ",\"id\":");
    doc_write_string(out, slice_of(id));
    buf_printf(out, ",\"state\":\"%s\"", state_names[state]);
    if (expires_at != 0) {
        buf_append_str(out, ",\"expires_at\":");
        buf_append_i64(out, expires_at);
    }
}

void key_write(struct buf *out, const struct key *k)
{
    write_scalars(out, k->revision, k->id, k->state, k->expires_at);
    buf_append_str(out, ",\"aliases\":");
    alias_set_write(out, k->aliases);
    buf_append_char(out, '}');
}

void key_write_record(struct buf *out, uint64_t revision, const char *id, enum key_state state,
                      int64_t expires_at, const json_t *aliases)
{
    write_scalars(out, revision, id, state, expires_at);
    if (aliases != NULL) {
        buf_append_str(out, ",\"aliases\":");
        doc_write(out, aliases);
    }
    buf_append_char(out, '}');
}

bool key_passes(const struct key *k, int64_t now_s)
{
    return k->state == KEY_ACTIVE && (k->expires_at == 0 || now_s < k->expires_at);
}
