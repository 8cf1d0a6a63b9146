// SPDX-License-Identifier: Apache-2.0
// The few questions that are asked of a reply. Each has an answer for every kind
// of reply, so that a reply of an unexpected kind is a refusal and not a crash.
#include "common/store/reply.h"

#include <hiredis/hiredis.h>

bool reply_is_error(const struct redisReply *r)
{
    return r->type == REDIS_REPLY_ERROR;
}

bool reply_is_wrong_type(const struct redisReply *r)
{
    return r != NULL && reply_is_error(r) &&
           slice_starts_with(reply_bytes(r), SLICE_LIT("WRONGTYPE"));
}

bool reply_is_array(const struct redisReply *r)
{
    return r->type == REDIS_REPLY_ARRAY;
}

bool reply_is_nil(const struct redisReply *r)
{
    return r->type == REDIS_REPLY_NIL;
}

struct slice reply_bytes(const struct redisReply *r)
{
    if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
        r->type == REDIS_REPLY_ERROR)
        return slice_make(r->str, r->len);
    return SLICE_NONE;
}

// The connection frees its own struct, which owns nothing any more.
struct redisReply *reply_take(const struct redisReply *r)
{
    struct redisReply *taken = xmalloc(sizeof(*taken)); // freed by hiredis, with free
    *taken = *r;
    *(struct redisReply *)r = (struct redisReply){.type = REDIS_REPLY_NIL};
    return taken;
}

void reply_free(struct redisReply *r)
{
    freeReplyObject(r);
}

bool reply_integer(const struct redisReply *r, int64_t *out)
{
    if (r->type == REDIS_REPLY_INTEGER) {
        *out = r->integer;
        return true;
    }
    if (r->type != REDIS_REPLY_STRING)
        return false;
    struct slice text = reply_bytes(r);
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t n;
    if (!slice_parse_u64(negative ? slice_skip(text, 1) : text, INT64_MAX, &n))
        return false;
    *out = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

size_t reply_count(const struct redisReply *r)
{
    return r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
}

const struct redisReply *reply_at(const struct redisReply *r, size_t i)
{
    CM_ASSERT(i < reply_count(r));
    return r->element[i];
}
