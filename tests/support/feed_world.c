// SPDX-License-Identifier: Apache-2.0
#include "tests/support/feed_world.h"

#include <stdlib.h>

struct feed_world *w;

static void say_read_head(void *ctx)
{
    buf_append_str(ctx, " head");
}

static void say_read_log(void *ctx, uint64_t after, uint32_t part)
{
    buf_printf(ctx, " log>%llu", (unsigned long long)after);
    if (part > 0)
        buf_printf(ctx, "+%u", part);
}

static void say_scan(void *ctx, bool restart)
{
    buf_append_str(ctx, restart ? " scan" : " more");
}

static void say_put(void *ctx, bool staged, struct slice id, struct slice record)
{
    buf_printf(ctx, " %s%.*s=%.*s", staged ? "stage:" : "", SLICE_FMT(id), SLICE_FMT(record));
}

static void say_remove(void *ctx, bool staged, struct slice id)
{
    buf_printf(ctx, " %s-%.*s", staged ? "stage:" : "", SLICE_FMT(id));
}

static void say_begin(void *ctx, bool copy)
{
    buf_append_str(ctx, copy ? " copy" : " begin");
}

static void say_drop(void *ctx)
{
    buf_append_str(ctx, " drop");
}

static void say_commit(void *ctx)
{
    buf_append_str(ctx, " commit");
}

static void say_publish(void *ctx)
{
    buf_append_str(ctx, " publish");
}

static void say_key(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    buf_printf(ctx, " %s%d@%llu", deny ? "deny" : "dirty", key->bytes[0],
               (unsigned long long)revision);
}

static void say_unverified(void *ctx)
{
    buf_append_str(ctx, " unverified");
}

static void say_report(void *ctx)
{
    struct feed_position at = feed_position(w->feed);
    const char *reason = feed_reason_name(feed_reason(w->feed));
    buf_printf(ctx, " [%s%s%s %llu]", feed_state_name(feed_state(w->feed)), *reason ? ":" : "",
               reason, (unsigned long long)at.revision);
}

static const struct feed_actions actions = {
    say_read_head, say_read_log, say_scan,    say_put, say_remove,     say_begin,
    say_drop,      say_commit,   say_publish, say_key, say_unverified, say_report,
};

static uint64_t change_of(uint64_t revision)
{
    return 0xc000 + revision;
}

// models: "a=1 b=2": ids and records.
struct head head_of(uint64_t epoch, uint64_t revision, const char *models)
{
    struct head h = {
        .format = HEAD_FORMAT, .epoch = epoch, .revision = revision, .change = change_of(revision)};
    struct slice rest = slice_of(models);
    while (rest.len > 0) {
        struct slice record = slice_take(&rest, ' ');
        struct slice id = slice_take(&record, '=');
        h.digest = digest_add(h.digest, digest_record(id, record));
        h.models++;
    }
    return h;
}

static void on_head_of(struct head h)
{
    feed_on_head(w->feed, HEAD_OK, &h, w->now, true);
}

void on_head(uint64_t epoch, uint64_t revision, const char *models)
{
    on_head_of(head_of(epoch, revision, models));
}

void on_child_head(uint64_t epoch, uint64_t parent, uint64_t revision, const char *models)
{
    struct head h = head_of(epoch, revision, models);
    h.parents[h.parent_count++] = parent;
    on_head_of(h);
}

void on_diverged_head(uint64_t epoch, uint64_t revision, const char *models)
{
    struct head h = head_of(epoch, revision, models);
    h.change += 0x0d00;
    on_head_of(h);
}

void on_no_head(enum head_status status)
{
    feed_on_head(w->feed, status, NULL, w->now, true);
}

void on_unconfirmed_head(uint64_t epoch, uint64_t revision, const char *models)
{
    struct head h = head_of(epoch, revision, models);
    feed_on_head(w->feed, HEAD_OK, &h, w->now, false);
}

bool restore(uint64_t revision, const char *records, const char *models, uint64_t confirmed_ms)
{
    struct head h = head_of(E1, revision, models);
    struct feed_position at = {h.epoch, h.revision, h.change, h.digest, h.models};
    struct slice rest = slice_of(records);
    while (rest.len > 0) {
        struct slice record = slice_take(&rest, ' ');
        struct slice id = slice_take(&record, '=');
        feed_restore_record(w->feed, id, record);
    }
    return feed_restore(w->feed, &at, confirmed_ms);
}

struct oplog_entry entry(uint64_t revision, const char *ops)
{
    return (struct oplog_entry){.revision = revision,
                                .change = change_of(revision),
                                .previous = change_of(revision - 1),
                                .ops = slice_of(ops)};
}

struct oplog_entry part_of(uint64_t revision, uint32_t part, bool more, const char *ops)
{
    struct oplog_entry e = entry(revision, ops);
    e.part = part;
    e.more = more;
    return e;
}

void on_entry(uint64_t revision, const char *ops)
{
    struct oplog_entry e = entry(revision, ops);
    feed_on_log(w->feed, &e, 1, false);
}

void on_models(const char *models, bool done)
{
    struct feed_record records[8];
    size_t count = 0;
    struct slice rest = slice_of(models);
    while (rest.len > 0) {
        struct slice record = slice_take(&rest, ' ');
        struct slice id = slice_take(&record, '=');
        records[count++] = (struct feed_record){id, record};
    }
    feed_on_scan(w->feed, records, count, done);
}

static struct bell bell_of(uint64_t epoch, uint64_t revision)
{
    return (struct bell){.epoch = epoch,
                         .revision = revision,
                         .change = change_of(revision),
                         .previous = change_of(revision - 1)};
}

void on_bell(uint64_t epoch, uint64_t revision, unsigned char key, bool deny)
{
    struct bell b = bell_of(epoch, revision);
    if (key > 0) {
        b.key_count = 1;
        b.keys[0].deny = deny;
        memset(&b.keys[0].digest, key, sizeof(b.keys[0].digest));
    }
    feed_on_bell(w->feed, &b);
}

void load(uint64_t epoch, uint64_t revision, const char *models)
{
    on_head(epoch, revision, models);
    on_models(models, true);
    on_head(epoch, revision, models);
}

int feed_world_start_empty(void **state)
{
    (void)state;
    w = xcalloc(1, sizeof(*w));
    w->now = 1000;
    w->feed = feed_create(&actions, &w->said, WAIT_MS);
    return 0;
}

int feed_world_start_live(void **state)
{
    feed_world_start_empty(state);
    feed_on_link(w->feed, true);
    load(E1, 5, "a=1 b=1");
    assert_state(FEED_LIVE, FEED_REASON_NONE, 5);
    buf_clear(&w->said);
    w->now = 2000;
    return 0;
}

int feed_world_stop(void **state)
{
    (void)state;
    feed_destroy(w->feed);
    buf_fini(&w->said);
    free(w);
    return 0;
}
