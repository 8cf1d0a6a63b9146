// SPDX-License-Identifier: Apache-2.0
// Any bytes as a log entry: stream id, change and previous change on the first three
// lines, the operations behind them. What is valid is written back byte for byte, and a
// feed that is given it, whole or in parts, takes all of it or nothing.
#include "common/model/oplog.h"

#include <string.h>

#include "common/model/feed.h"
#include "tests/fuzz/fuzz.h"

enum { PAGE_MAX = 3 };

static void nothing(void *ctx)
{
    (void)ctx;
}

static int64_t wanted; // the part that the feed has asked for; -1 = none

static void read_log(void *ctx, uint64_t after, uint32_t part)
{
    (void)ctx;
    (void)after;
    wanted = part;
}

static void scan(void *ctx, bool restart)
{
    (void)ctx;
    (void)restart;
}

static void begin(void *ctx, bool copy)
{
    (void)ctx;
    (void)copy;
}

static void put(void *ctx, bool staged, struct slice id, struct slice record)
{
    (void)ctx;
    (void)staged;
    CM_ASSERT(id.len > 0 && memchr(record.ptr, '\n', record.len) == NULL);
}

static void take_away(void *ctx, bool staged, struct slice id)
{
    (void)ctx;
    (void)staged;
    CM_ASSERT(id.len > 0);
}

static void key_changed(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    (void)ctx;
    (void)key;
    (void)deny;
    CM_ASSERT(revision > 0);
}

static const struct feed_actions actions = {.read_head = nothing,
                                            .read_log = read_log,
                                            .scan_models = scan,
                                            .put_model = put,
                                            .remove_model = take_away,
                                            .stage_begin = begin,
                                            .stage_drop = nothing,
                                            .stage_commit = nothing,
                                            .publish = nothing,
                                            .key_changed = key_changed,
                                            .keys_unverified = nothing,
                                            .report = nothing};

// A feed that stands before the entry and asks for it.
static struct feed *before(const struct oplog_entry *e)
{
    struct feed_position at = {.epoch = 1, .revision = e->revision - 1, .change = e->previous};
    struct head head = {.format = 1, .epoch = 1, .revision = e->revision, .change = e->change};
    struct feed *f = feed_create(&actions, NULL, 1000);
    CM_ASSERT(feed_restore(f, &at, 1));
    feed_on_link(f, true);
    feed_on_head(f, HEAD_OK, &head, 2, true);
    feed_limit_slice(f, 1 + e->ops.len % 64);
    return f;
}

static void take_in(struct feed *f, const struct oplog_entry *entries, size_t count)
{
    wanted = -1;
    feed_on_log(f, entries, count, false);
    while (feed_wants_turn(f))
        feed_on_turn(f);
}

static void end(struct feed *f, const struct oplog_entry *e)
{
    bool applied = feed_position(f).revision == e->revision;
    CM_ASSERT(applied == oplog_valid(e->ops));
    feed_destroy(f);
}

static void feed_it(const struct oplog_entry *e)
{
    struct feed *f = before(e);
    take_in(f, e, 1);
    end(f, e);
}

static struct oplog_entry take_part(const struct oplog_entry *e, uint32_t part, struct slice *rest)
{
    struct oplog_entry p = *e;
    struct slice cut = *rest;
    for (size_t lines = 1 + e->ops.len % 3; lines > 0 && cut.len > 0; lines--)
        (void)slice_take(&cut, '\n');
    p.part = part;
    p.ops = slice_make(rest->ptr, rest->len - cut.len);
    p.more = cut.len > 0;
    *rest = cut;
    return p;
}

// So many parts an answer.
static void feed_parts(const struct oplog_entry *e, size_t page)
{
    struct oplog_entry parts[PAGE_MAX];
    struct feed *f = before(e);
    struct slice rest = e->ops;
    uint32_t part = 0;
    for (bool more = true; more && wanted == part;) {
        size_t count = 0;
        for (; more && count < page; count++) {
            parts[count] = take_part(e, part++, &rest);
            more = parts[count].more;
        }
        take_in(f, parts, count);
    }
    end(f, e);
}

static void write_again(struct slice ops)
{
    struct buf out = {0};
    struct slice rest = ops;
    struct oplog_op op;
    while (oplog_next(&rest, &op) > 0) {
        if (op.kind == OPLOG_MODEL)
            oplog_add_model(&out, op.id, op.record);
        else if (op.kind == OPLOG_REMOVE)
            oplog_add_remove(&out, op.id);
        else
            oplog_add_key(&out, &op.key, op.kind == OPLOG_DENY);
    }
    CM_ASSERT(slice_equal_nocase(buf_slice(&out), ops));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_make(data, size);
    struct slice id = slice_take(&rest, '\n'), change = slice_take(&rest, '\n');
    struct slice previous = slice_take(&rest, '\n');
    struct oplog_entry e;
    if (rest.ptr == NULL || !oplog_entry_parse(id, change, previous, rest, SLICE_NONE, &e))
        return 0;
    if (oplog_valid(e.ops))
        write_again(e.ops);
    e.part = 0;
    e.more = false;
    feed_it(&e);
    feed_parts(&e, 1);
    feed_parts(&e, PAGE_MAX);
    return 0;
}
