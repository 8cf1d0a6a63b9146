// SPDX-License-Identifier: Apache-2.0
// Lists are searched from the start: catalogs of tests are small, or are loaded
// once.
#include "tests/support/follower.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

static void clear(struct follower_catalog *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->ids[i]);
        free(c->records[i]);
    }
    free(c->ids);
    free(c->records);
    *c = (struct follower_catalog){0};
}

static size_t find(const struct follower_catalog *c, struct slice id)
{
    size_t i = 0;
    while (i < c->count && !slice_equal(slice_of(c->ids[i]), id))
        i++;
    return i;
}

static void put(void *ctx, bool staged, struct slice id, struct slice record)
{
    struct follower *w = ctx;
    struct follower_catalog *c = staged ? &w->staged : &w->shown;
    assert_true(!staged || w->is_staging);
    size_t i = find(c, id);
    if (i < c->count) {
        free(c->records[i]);
    } else {
        assert_true(c->count < FOLLOWER_MODELS_MAX);
        c->ids = xrealloc(c->ids, (c->count + 1) * sizeof(*c->ids));
        c->records = xrealloc(c->records, (c->count + 1) * sizeof(*c->records));
        c->ids[c->count++] = slice_dup(id);
    }
    c->records[i] = slice_dup(record);
    w->dirty = w->dirty || !staged;
}

static void remove_one(void *ctx, bool staged, struct slice id)
{
    struct follower *w = ctx;
    struct follower_catalog *c = staged ? &w->staged : &w->shown;
    size_t i = find(c, id);
    assert_true(i < c->count);
    free(c->ids[i]);
    free(c->records[i]);
    c->count--;
    c->ids[i] = c->ids[c->count];
    c->records[i] = c->records[c->count];
    w->dirty = w->dirty || !staged;
}

static void begin(void *ctx, bool copy)
{
    struct follower *w = ctx;
    assert_false(w->is_staging);
    w->is_staging = true;
    w->is_drafting = copy;
    w->drafts += copy;
    for (size_t i = 0; copy && i < w->shown.count; i++)
        put(w, true, slice_of(w->shown.ids[i]), slice_of(w->shown.records[i]));
}

static void drop(void *ctx)
{
    struct follower *w = ctx;
    assert_true(w->is_staging);
    w->drafts_dropped += w->is_drafting;
    clear(&w->staged);
    w->is_staging = false;
}

static void commit(void *ctx)
{
    struct follower *w = ctx;
    assert_true(w->is_staging);
    clear(&w->shown);
    w->shown = w->staged;
    w->staged = (struct follower_catalog){0};
    w->is_staging = w->dirty = false;
    w->publishes++;
}

static void publish(void *ctx)
{
    struct follower *w = ctx;
    w->dirty = false;
    w->publishes++;
}

static void key_changed(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    struct follower *w = ctx;
    (void)key;
    (void)revision;
    if (deny)
        w->denied++;
    else
        w->marked++;
}

static void keys_unverified(void *ctx)
{
    struct follower *w = ctx;
    w->unverified++;
}

// Whatever feed_io's own members are: they must not be called.
static void never(void *ctx)
{
    (void)ctx;
    fail_msg("an action of feed_io's own was forwarded");
}

static void describe(void *ctx, struct ack *ack)
{
    (void)ctx;
    strcpy(ack->id, "00000001-0-1");
    strcpy(ack->host, "test");
    ack->max_stale_s = 3600;
}

static bool is_noted(void *ctx)
{
    const struct follower *w = ctx;
    return !w->notes_hang;
}

static void on_change(void *ctx)
{
    struct follower *w = ctx;
    struct feed_position at = feed_position(feed_io_feed(w->io));
    struct digest sum = {0};
    w->changes++;
    w->downs += !feed_io_is_up(w->io);
    assert_false(w->dirty); // told of only when shown
    if (at.epoch == 0)
        return;
    for (size_t i = 0; i < w->shown.count; i++)
        sum = digest_add(sum,
                         digest_record(slice_of(w->shown.ids[i]), slice_of(w->shown.records[i])));
    assert_true(digest_equal(sum, at.digest));
    assert_int_equal(w->shown.count, at.models);
    if (at.revision != w->confirmed_revision) {
        w->confirmed_revision = at.revision;
        feed_confirm(feed_io_feed(w->io)); // everything may be called in here
    }
}

static const struct feed_actions actions = {
    .put_model = put,
    .remove_model = remove_one,
    .stage_begin = begin,
    .stage_drop = drop,
    .stage_commit = commit,
    .publish = publish,
    .key_changed = key_changed,
    .keys_unverified = keys_unverified,
    .read_head = never,
    .report = never,
};

void follower_open(struct follower *w, uv_loop_t *loop, const char *url, uint32_t poll_ms)
{
    char error[REDIS_URL_ERROR_MAX];
    *w = (struct follower){.loop = loop};
    assert_true(redis_url_parse(slice_of(url), &w->url, error));
    assert_true(keyspace_init(&w->keyspace, SLICE_LIT("cm"), w->url.database));
    struct feed_io_options options = {.url = &w->url,
                                      .keyspace = &w->keyspace,
                                      .poll_ms = poll_ms,
                                      .repair_wait_ms = 300,
                                      .actions = &actions,
                                      .ctx = w,
                                      .describe = describe,
                                      .is_noted = is_noted,
                                      .on_change = on_change};
    w->io = feed_io_open(loop, &options);
}

static void on_closed(void *ctx, const struct ack *unheard)
{
    struct follower *w = ctx;
    w->bye_was_heard = unheard == NULL;
    w->closed = true;
}

void follower_close(struct follower *w)
{
    feed_io_close(w->io, on_closed, w);
    assert_false(w->closed);
    loop_run_until_set(w->loop, &w->closed, 2000);
    clear(&w->shown);
    clear(&w->staged);
    redis_url_fini(&w->url);
}

enum feed_state follower_state(const struct follower *w)
{
    return feed_state(feed_io_feed(w->io));
}

uint64_t follower_revision(const struct follower *w)
{
    return feed_position(feed_io_feed(w->io)).revision;
}

static bool is_at_revision(void *ctx)
{
    const struct follower *w = ctx;
    return follower_state(w) == FEED_LIVE && follower_revision(w) >= w->wait_revision;
}

void follower_wait_revision(struct follower *w, uint64_t revision, unsigned ms)
{
    w->wait_revision = revision;
    if (!loop_try_until(w->loop, is_at_revision, w, ms))
        fail_msg("%s at revision %llu, want %llu", feed_state_name(follower_state(w)),
                 (unsigned long long)follower_revision(w), (unsigned long long)revision);
}

static bool is_in_state(void *ctx)
{
    const struct follower *w = ctx;
    return follower_state(w) == w->wait_state;
}

void follower_wait_state(struct follower *w, enum feed_state state, unsigned ms)
{
    w->wait_state = state;
    if (!loop_try_until(w->loop, is_in_state, w, ms))
        fail_msg("%s, want %s", feed_state_name(follower_state(w)), feed_state_name(state));
}

const char *follower_record(const struct follower *w, const char *id)
{
    size_t i = find(&w->shown, slice_of(id));
    return i < w->shown.count ? w->shown.records[i] : NULL;
}
