// SPDX-License-Identifier: Apache-2.0
// Every Redis name is "{prefix}:..." : the braces make all of them one hash tag,
// so that one script may touch any of them. Channels carry the database number,
// because pub/sub ignores SELECT.
#include "common/store/keyspace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_prefix(struct slice prefix)
{
    if (prefix.len == 0 || prefix.len > KEYSPACE_PREFIX_MAX)
        return false;
    for (size_t i = 0; i < prefix.len; i++) {
        char c = prefix.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && memchr("_.:-", c, 4) == NULL)
            return false;
    }
    return true;
}

static void name(char out[64], const struct keyspace *k, const char *what)
{
    int len = snprintf(out, 64, "{%s}:%s", k->prefix, what);
    CM_ASSERT(len > 0 && len < 64);
}

static void channel(char out[80], const struct keyspace *k, uint32_t database, const char *what)
{
    int len = snprintf(out, 80, "{%s}:%" PRIu32 ":%s", k->prefix, database, what);
    CM_ASSERT(len > 0 && len < 80);
}

bool keyspace_init(struct keyspace *k, struct slice prefix, uint32_t database)
{
    if (!is_prefix(prefix))
        return false;
    *k = (struct keyspace){0};
    memcpy(k->prefix, prefix.ptr, prefix.len);
    name(k->head, k, "head");
    name(k->log, k, "log");
    name(k->audit, k, "audit");
    name(k->models, k, "models");
    name(k->keys, k, "keys");
    name(k->key_order, k, "keyorder");
    name(k->gone_order, k, "goneorder");
    name(k->fleet, k, "fleet");
    channel(k->bell, k, database, "bell");
    channel(k->ack, k, database, "ack");
    return true;
}

// Ids are bytes and may hold a NUL when they come from outside, hence no "%s".
static size_t object(const struct keyspace *k, const char *kind, struct slice id,
                     char out[KEYSPACE_NAME_MAX])
{
    int len = snprintf(out, KEYSPACE_NAME_MAX, "{%s}:%s:", k->prefix, kind);
    CM_ASSERT(len > 0 && (size_t)len + id.len < KEYSPACE_NAME_MAX);
    if (id.len > 0)
        memcpy(out + len, id.ptr, id.len);
    out[(size_t)len + id.len] = '\0';
    return (size_t)len + id.len;
}

size_t keyspace_key(const struct keyspace *k, const struct secret_digest *digest,
                    char out[KEYSPACE_NAME_MAX])
{
    char hex[SECRET_HEX_LEN];
    util_hex_encode(digest->bytes, SECRET_DIGEST_LEN, hex);
    return object(k, "key", slice_make(hex, sizeof(hex)), out);
}

size_t keyspace_refs(const struct keyspace *k, struct slice model_id, char out[KEYSPACE_NAME_MAX])
{
    return object(k, "refs", model_id, out);
}

size_t keyspace_gone(const struct keyspace *k, struct slice key_id, char out[KEYSPACE_NAME_MAX])
{
    return object(k, "gone", key_id, out);
}

size_t keyspace_idem(const struct keyspace *k, struct slice digest_hex, char out[KEYSPACE_NAME_MAX])
{
    return object(k, "idem", digest_hex, out);
}

void keyspace_patterns(const struct keyspace *k, struct buf *out)
{
    buf_printf(out, "{%s}:key:* {%s}:refs:* {%s}:idem:*", k->prefix, k->prefix, k->prefix);
}
