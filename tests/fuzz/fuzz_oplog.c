// SPDX-License-Identifier: Apache-2.0
// Any bytes as a log entry: stream id, change and previous change on the first three
// lines, the operations behind them. What is valid is written back byte for byte, and a
// feed that is given it does not lose its mind.
#include "common/model/oplog.h"

#include <string.h>

#include "common/model/feed.h"
#include "tests/fuzz/fuzz.h"

static void nothing(void *ctx)
{
    (void)ctx;
}

static void read_log(void *ctx, uint64_t after)
{
    (void)ctx;
    (void)after;
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

// The entry comes as the one after where the feed stands.
static void feed_it(const struct oplog_entry *e)
{
    if (e->revision == 0)
        return;
    struct feed_position at = {.epoch = 1, .revision = e->revision - 1, .change = e->previous};
    struct head head = {.format = 1, .epoch = 1, .revision = e->revision, .change = e->change};
    struct feed *f = feed_create(&actions, NULL, 1000);
    CM_ASSERT(feed_restore(f, &at, 1));
    feed_on_link(f, true);
    feed_on_head(f, HEAD_OK, &head, 2, true);
    feed_limit_slice(f, 1 + e->ops.len % 64);
    feed_on_log(f, e, 1, false);
    while (feed_wants_turn(f))
        feed_on_turn(f);
    bool applied = feed_position(f).revision == e->revision;
    CM_ASSERT(applied == oplog_valid(e->ops));
    feed_destroy(f);
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
    if (rest.ptr == NULL || !oplog_entry_parse(id, change, previous, rest, &e))
        return 0;
    if (oplog_valid(e.ops))
        write_again(e.ops);
    feed_it(&e);
    return 0;
}
