// SPDX-License-Identifier: Apache-2.0
// Two commands, two replies; the second one completes the read. When the
// connection ends both come as none, so the completion runs exactly once either
// way. Only a head that is whole and a record that is there, or surely not there,
// are an answer: everything else is "not known", which is never "no such key".
#include "common/store/key_read.h"

#include <stdlib.h>

struct reading {
    struct key_reads *reads;
    void (*on_read)(void *ctx, const struct key_read *result);
    void *ctx;
    bool has_head;
    struct head head;
};

static void on_head(void *ctx, const struct redisReply *reply)
{
    struct reading *r = ctx;
    struct slice fields[HEAD_FIELD_COUNT];
    if (reply == NULL || reply_count(reply) != HEAD_FIELD_COUNT)
        return;
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        fields[i] = reply_bytes(reply_at(reply, i));
    r->has_head = head_parse(fields, &r->head) == HEAD_OK;
}

static struct key_read judge(const struct reading *r, const struct redisReply *reply)
{
    struct key_read result = {.status = KEY_READ_FAILED};
    if (reply == NULL || !r->has_head)
        return result;
    result.epoch = r->head.epoch;
    result.revision = r->head.revision;
    result.change = r->head.change;
    if (reply_is_nil(reply)) {
        result.status = KEY_READ_ABSENT;
    } else if (!reply_is_error(reply) && reply_bytes(reply).ptr != NULL) {
        result.status = KEY_READ_FOUND;
        result.record = reply_bytes(reply);
    }
    return result;
}

static void on_record(void *ctx, const struct redisReply *reply)
{
    struct reading *r = ctx;
    struct key_read result = judge(r, reply);
    r->reads->under_way--;
    r->on_read(r->ctx, &result);
    free(r);
}

bool key_read_start(struct key_reads *reads, const struct secret_digest *digest,
                    void (*on_read)(void *ctx, const struct key_read *result), void *ctx)
{
    if (reads->under_way == KEY_READ_MAX || redis_room(reads->data) < KEY_READ_COMMANDS)
        return false;
    char name[KEYSPACE_NAME_MAX];
    size_t len = keyspace_key(reads->keyspace, digest, name);
    struct slice get[] = {SLICE_LIT("GET"), slice_make(name, len)};
    struct slice head[2 + HEAD_FIELD_COUNT] = {SLICE_LIT("HMGET"), slice_of(reads->keyspace->head)};
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        head[2 + i] = slice_of(head_field_names[i]);
    struct reading *r = xcalloc(1, sizeof(*r));
    r->reads = reads;
    r->on_read = on_read;
    r->ctx = ctx;
    reads->under_way++;
    bool sent = redis_command(reads->data, CM_ARRAY_LEN(head), head, on_head, r) &&
                redis_command(reads->data, CM_ARRAY_LEN(get), get, on_record, r);
    CM_ASSERT(sent);
    return true;
}
