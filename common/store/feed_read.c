// SPDX-License-Identifier: Apache-2.0
// Questions of the feed as commands, replies as events of the feed.
//
// No reply at all needs nothing: the connection is gone, and feed_io tells the
// feed so. A log's answer is kept until the feed has taken it in. An error (LOADING, NOPERM ...) or
// a reply of another shape is a failed connection, because the feed must not wait for ever and
// because Redis may be another one after reconnecting. The connection's back-off and its log (one
// line per reason) keep that from becoming a flood.
#include "common/store/feed_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/store/mastership.h"

static void ask(struct feed_read *r, size_t argc, const struct slice *argv, redis_on_reply on_reply)
{
    // Not up: the link's end is on its way to the feed. No room cannot be, fills
    // leave some; if it is, the feed must not be left without an answer.
    if (!redis_command(r->data, argc, argv, on_reply, r) && redis_is_up(r->data))
        redis_fail(r->data, "too many commands in flight");
}

static void fail(struct feed_read *r, const char *command, const struct redisReply *reply)
{
    char why[160];
    if (reply_is_error(reply))
        snprintf(why, sizeof(why), "%s: %.*s", command, SLICE_FMT(reply_bytes(reply)));
    else
        snprintf(why, sizeof(why), "%s: a reply that makes no sense", command);
    redis_fail(r->data, why);
}

static bool is_for_feed(const struct feed_read *r, const struct redisReply *reply)
{
    return reply != NULL && !r->closed;
}

// --- the head

static void on_head(void *ctx, const struct redisReply *reply)
{
    struct feed_read *r = ctx;
    struct slice fields[HEAD_FIELD_COUNT];
    if (!is_for_feed(r, reply))
        return;
    if (reply_is_wrong_type(reply)) { // an answer, too: it is no store of ours
        r->status = HEAD_GARBLED;
        return;
    }
    if (reply_count(reply) != HEAD_FIELD_COUNT) {
        fail(r, "HMGET", reply);
        return;
    }
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        fields[i] = reply_bytes(reply_at(reply, i));
    r->status = head_parse(fields, &r->head);
}

// Asked after the head, in the same pipeline: was it a master's that nobody has
// replaced?
static void on_info(void *ctx, const struct redisReply *reply)
{
    struct feed_read *r = ctx;
    if (!is_for_feed(r, reply))
        return;
    if (reply_is_error(reply)) {
        fail(r, "INFO replication", reply);
        return;
    }
    feed_on_head(r->feed, r->status, r->status == HEAD_OK ? &r->head : NULL, r->sent_ms,
                 mastership_confirms(r->sentinel, r->data, reply_bytes(reply)));
    r->after(r->ctx, true);
}

void feed_read_head(struct feed_read *r)
{
    struct slice argv[2 + HEAD_FIELD_COUNT] = {SLICE_LIT("HMGET"), slice_of(r->keyspace->head)};
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        argv[2 + i] = slice_of(head_field_names[i]);
    const struct slice info[] = {SLICE_LIT("INFO"), SLICE_LIT("replication")};
    r->sent_ms = clock_boot_ms();
    ask(r, CM_ARRAY_LEN(argv), argv, on_head);
    ask(r, CM_ARRAY_LEN(info), info, on_info);
}

// --- the log

// [id, [field, value, ...]]; *rest of the fields may follow in any order.
static bool parse_entry(const struct redisReply *reply, struct oplog_entry *out)
{
    struct slice change = SLICE_NONE, previous = SLICE_NONE, ops = SLICE_NONE, more = SLICE_NONE;
    if (reply_count(reply) != 2)
        return false;
    const struct redisReply *fields = reply_at(reply, 1);
    for (size_t i = 0; i + 1 < reply_count(fields); i += 2) {
        struct slice name = reply_bytes(reply_at(fields, i));
        struct slice value = reply_bytes(reply_at(fields, i + 1));
        if (slice_equal(name, SLICE_LIT("c")))
            change = value;
        else if (slice_equal(name, SLICE_LIT("p")))
            previous = value;
        else if (slice_equal(name, SLICE_LIT("o")))
            ops = value;
        else if (slice_equal(name, SLICE_LIT("m")))
            more = value;
    }
    return oplog_entry_parse(reply_bytes(reply_at(reply, 0)), change, previous, ops, more, out);
}

void feed_read_drop(struct feed_read *r)
{
    reply_free(r->log);
    r->log = NULL;
}

static void end_log(struct feed_read *r)
{
    feed_read_drop(r);
    r->after(r->ctx, false);
}

static void on_log(void *ctx, const struct redisReply *reply)
{
    struct feed_read *r = ctx;
    size_t count = 0;
    if (!is_for_feed(r, reply))
        return;
    if (!reply_is_array(reply) || reply_count(reply) > CM_ARRAY_LEN(r->entries)) {
        fail(r, "XRANGE", reply);
        return;
    }
    CM_ASSERT(r->log == NULL);
    r->log = reply_take(reply);
    while (count < reply_count(r->log) && parse_entry(reply_at(r->log, count), &r->entries[count]))
        count++;
    feed_on_log(r->feed, r->entries, count, count < reply_count(r->log));
    if (feed_wants_turn(r->feed))
        r->begun(r->ctx);
    else
        end_log(r);
}

bool feed_read_turn(struct feed_read *r)
{
    feed_on_turn(r->feed);
    if (feed_wants_turn(r->feed))
        return false;
    end_log(r);
    return true;
}

void feed_read_log(struct feed_read *r, uint64_t after, uint32_t part)
{
    char from[40], count[16];
    snprintf(from, sizeof(from), "%" PRIu64 "-%" PRIu32, after + 1, part);
    snprintf(count, sizeof(count), "%d", FEED_READ_LOG_COUNT);
    struct slice argv[] = {
        SLICE_LIT("XRANGE"), slice_of(r->keyspace->log), slice_of(from),
        SLICE_LIT("+"),      SLICE_LIT("COUNT"),         slice_of(count),
    };
    ask(r, CM_ARRAY_LEN(argv), argv, on_log);
}

// --- the records

static bool is_cursor(struct slice s)
{
    uint64_t n;
    return s.len <= FEED_READ_CURSOR_MAX && slice_parse_u64(s, UINT64_MAX, &n);
}

// [cursor, [id, record, ...]]
static void on_scan(void *ctx, const struct redisReply *reply)
{
    struct feed_read *r = ctx;
    if (!is_for_feed(r, reply))
        return;
    if (reply_count(reply) != 2 || !is_cursor(reply_bytes(reply_at(reply, 0))) ||
        reply_count(reply_at(reply, 1)) % 2 != 0) {
        fail(r, "HSCAN", reply);
        return;
    }
    struct slice cursor = reply_bytes(reply_at(reply, 0));
    memcpy(r->cursor, cursor.ptr, cursor.len);
    r->cursor_len = cursor.len;

    const struct redisReply *page = reply_at(reply, 1);
    size_t count = reply_count(page) / 2;
    struct feed_record *records = xmalloc(count * sizeof(*records));
    for (size_t i = 0; i < count; i++)
        records[i] = (struct feed_record){.id = reply_bytes(reply_at(page, 2 * i)),
                                          .record = reply_bytes(reply_at(page, 2 * i + 1))};
    feed_on_scan(r->feed, records, count, slice_equal(cursor, SLICE_LIT("0")));
    free(records);
    r->after(r->ctx, false);
}

void feed_read_scan(struct feed_read *r, bool restart)
{
    char count[16];
    snprintf(count, sizeof(count), "%d", FEED_READ_SCAN_COUNT);
    struct slice argv[] = {
        SLICE_LIT("HSCAN"),
        slice_of(r->keyspace->models),
        restart ? SLICE_LIT("0") : slice_make(r->cursor, r->cursor_len),
        SLICE_LIT("COUNT"),
        slice_of(count),
    };
    ask(r, CM_ARRAY_LEN(argv), argv, on_scan);
}
