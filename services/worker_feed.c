// SPDX-License-Identifier: Apache-2.0
// The store's half of the wiring: the feed's actions go to the replica and the
// gate, its news to the gate, the block and the log, and the gate gets from it
// what it needs of the store.
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "services/worker_private.h"

enum { KEEP_MS = 300 }; // for the last write

// -- the catalog, by the feed -----------------------------------------------

// An import changes many pages; whoever asks meanwhile waits for one at a time. Then
// what it replaced is freed, a piece at a time, too.
static void on_render(uv_idle_t *idle)
{
    struct worker *w = CM_CONTAINER_OF(idle, struct worker, render);
    if (catalog_render_one(w->replica.shown))
        return;
    (void)catalog_view(w->replica.shown);
    poison_end(&w->replica.poison);
    if (!replica_tidy(&w->replica))
        uv_idle_stop(idle);
}

static void on_put_model(void *ctx, bool staged, struct slice id, struct slice record)
{
    struct worker *w = ctx;
    replica_put(&w->replica, staged, id, record);
}

static void on_remove_model(void *ctx, bool staged, struct slice id)
{
    struct worker *w = ctx;
    replica_remove(&w->replica, staged, id);
}

static void on_stage_begin(void *ctx, bool copy)
{
    struct worker *w = ctx;
    replica_stage_begin(&w->replica, copy);
}

static void on_publish(void *ctx)
{
    struct worker *w = ctx;
    uv_idle_start(&w->render, on_render);
}

static void on_stage_drop(void *ctx)
{
    struct worker *w = ctx;
    replica_stage_drop(&w->replica);
    on_publish(w); // what was staged is freed
}

static void on_stage_commit(void *ctx)
{
    struct worker *w = ctx;
    replica_stage_commit(&w->replica);
    on_publish(w);
}

static void on_key_changed(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    struct worker *w = ctx;
    key_gate_key_changed(w->gate, key, deny, revision);
}

static void on_keys_unverified(void *ctx)
{
    struct worker *w = ctx;
    key_gate_keys_unverified(w->gate);
}

// -- what the feed says of itself -------------------------------------------

static enum log_level level_of(enum feed_state state)
{
    switch (state) {
    case FEED_LIVE:
        return LOG_LEVEL_INFO;
    case FEED_SUSPECT:
        return LOG_LEVEL_ERROR;
    default:
        return LOG_LEVEL_WARN;
    }
}

// Catching up is every change's way to being live again: not worth a line.
static void log_state(struct worker *w, const struct feed *feed)
{
    enum feed_state state = feed_state(feed);
    enum feed_reason reason = feed_reason(feed);
    if (state == FEED_CATCHUP || (state == w->told_state && reason == w->told_reason))
        return;
    w->told_state = state;
    w->told_reason = reason;
    LOG_AT(level_of(state), "feed_state", LOG_CSTR("state", feed_state_name(state)),
           LOG_CSTR("reason", feed_reason_name(reason)),
           LOG_U64("revision", feed_position(feed).revision));
}

static void on_change(void *ctx)
{
    struct worker *w = ctx;
    bool up = feed_io_is_up(w->io);
    w->stats.links += up && !w->was_up;
    w->was_up = up;
    log_state(w, feed_io_feed(w->io));
    worker_stats_store_state(&w->stats);
    if (up)
        farewell_tick(&w->farewell, w->io, clock_boot_ms());
    key_gate_on_feed(w->gate);
}

static void describe_kept(struct ack *ack, struct keeper_counters kept)
{
    ack->save_errors = kept.errors;
    if (kept.saved_ms > 0)
        ack->saved_ms = clock_wall_ms() - (int64_t)(clock_boot_ms() - kept.saved_ms);
}

static bool on_is_noted(void *ctx)
{
    const struct worker *w = ctx;
    return w->keeper == NULL || keeper_is_noted(w->keeper);
}

static void on_noted(void *ctx)
{
    struct worker *w = ctx;
    feed_io_noted(w->io);
}

static void on_describe(void *ctx, struct ack *ack)
{
    const struct worker *w = ctx;
    const struct worker_start *start = w->start;
    struct replica_refused refused = replica_refused(&w->replica);
    char replaces[HERITAGE_ID_MAX + 1];
    heritage_id(start->heritage, start->block->replaces, replaces);
    memcpy(ack->replaces, replaces, sizeof(replaces));
    strncpy(ack->id, start->id, sizeof(ack->id) - 1);
    gethostname(ack->host, sizeof(ack->host) - 1);
    ack->slot = start->slot;
    ack->max_stale_s = w->settings->max_stale_s;
    ack->rejected = refused.invalid;
    ack->poisoned = refused.poisoned;
    if (w->keeper != NULL)
        describe_kept(ack, keeper_counters(w->keeper));
}

// -- what keys need of the store --------------------------------------------

static void on_sense(void *ctx, struct key_sense *out)
{
    const struct worker *w = ctx;
    *out = (struct key_sense){.now_ms = clock_boot_ms(), .wall_s = clock_wall_s()};
    if (w->io == NULL)
        return; // leaving: nothing can be known any more
    const struct feed *feed = feed_io_feed(w->io);
    out->up = feed_io_is_up(w->io);
    out->state = feed_state(feed);
    out->position = feed_position(feed);
    out->told_revision = feed_told_revision(feed);
    out->confirmed_ms = feed_confirmed_at(feed);
}

static bool on_read_key(void *ctx, const struct secret_digest *digest,
                        void (*on_read)(void *reader, const struct key_read *result), void *reader)
{
    const struct worker *w = ctx;
    return feed_io_read_key(w->io, digest, on_read, reader);
}

static bool on_has_passed(void *ctx, uint64_t epoch, uint64_t revision, uint64_t change)
{
    const struct worker *w = ctx;
    return feed_has_passed(feed_io_feed(w->io), epoch, revision, change);
}

static void on_confirm(void *ctx)
{
    const struct worker *w = ctx;
    feed_confirm(feed_io_feed(w->io));
}

static void on_alarm(uv_timer_t *timer)
{
    key_gate_on_time(CM_CONTAINER_OF(timer, struct worker, alarm)->gate);
}

static void on_wake_at(void *ctx, uint64_t at_ms)
{
    struct worker *w = ctx;
    uint64_t now = clock_boot_ms();
    // The loop's time is a little behind, so this may come too early; then the
    // gate wishes again.
    uv_timer_start(&w->alarm, on_alarm, at_ms > now ? at_ms - now : 0, 0);
}

static const struct key_source key_source = {
    .sense = on_sense,
    .read_key = on_read_key,
    .has_passed = on_has_passed,
    .confirm = on_confirm,
    .wake_at = on_wake_at,
};

// -- start and end ----------------------------------------------------------

static void start_gate(struct worker *w)
{
    const struct settings *s = w->settings;
    const struct key_gate_options options = {.source = &key_source,
                                             .ctx = w,
                                             .cache_bytes = (size_t)s->key_cache_mb << 20,
                                             .poll_ms = s->poll_ms,
                                             .max_stale_s = s->max_stale_s};
    w->gate = key_gate_create(&options);
}

// The settings were checked when they were loaded.
static void start_feed(struct worker *w)
{
    static const struct feed_actions actions = {.put_model = on_put_model,
                                                .remove_model = on_remove_model,
                                                .stage_begin = on_stage_begin,
                                                .stage_drop = on_stage_drop,
                                                .stage_commit = on_stage_commit,
                                                .publish = on_publish,
                                                .key_changed = on_key_changed,
                                                .keys_unverified = on_keys_unverified};
    const struct settings *s = w->settings;
    char error[REDIS_URL_ERROR_MAX];
    CM_ASSERT(redis_url_parse(slice_of(s->redis_url), &w->url, error));
    if (s->redis_password != NULL)
        redis_url_set_password(&w->url, slice_of(s->redis_password));
    CM_ASSERT(keyspace_init(&w->keyspace, slice_of(s->redis_prefix), w->url.database));
    const struct feed_io_options options = {.url = &w->url,
                                            .keyspace = &w->keyspace,
                                            .poll_ms = (uint32_t)s->poll_ms,
                                            .repair_wait_ms = (uint32_t)s->repair_wait_ms,
                                            .actions = &actions,
                                            .ctx = w,
                                            .describe = on_describe,
                                            .is_noted = on_is_noted,
                                            .on_change = on_change};
    w->io = feed_io_open(&w->loop, &options);
}

// The feed has no link yet: nothing of the store can have come before this.
static void start_keeper(struct worker *w)
{
    const struct keeper_options options = {.loop = &w->loop,
                                           .path = w->settings->state_dir,
                                           .store = w->keyspace.bell,
                                           .slot = w->start->slot,
                                           .replica = &w->replica,
                                           .feed = feed_io_feed(w->io),
                                           .cache = key_gate_cache(w->gate),
                                           .on_noted = on_noted,
                                           .ctx = w};
    w->keeper = keeper_open(&options);
    if (keeper_keeps(w->keeper))
        farewell_load(&w->farewell, w->settings->state_dir);
    if (!feed_is_from_disk(feed_io_feed(w->io)))
        return;
    w->told_state = FEED_AWAY; // state_loaded has said so
    on_publish(w);
}

void worker_feed_start(struct worker *w)
{
    const struct poison poison = {w->start->shm, w->start->block};
    uv_timer_init(&w->loop, &w->alarm);
    uv_idle_init(&w->loop, &w->render);
    replica_init(&w->replica, &poison);
    start_gate(w);
    start_feed(w);
    start_keeper(w);
}

// Nobody is served any more, so a bye is true from now on, whoever says it.
static void on_feed_closed(void *ctx, const struct ack *unheard)
{
    struct worker *w = ctx;
    if (!w->disk_hangs)
        farewell_leave(&w->farewell, unheard);
    w->io = NULL;
    uv_close((uv_handle_t *)&w->alarm, NULL);
    uv_close((uv_handle_t *)&w->render, NULL);
    w->on_feed_closed(w);
}

// A disk that hangs must not keep the bye.
static void on_kept(void *ctx, bool ended)
{
    struct worker *w = ctx;
    w->keeper = NULL;
    w->disk_hangs = !ended;
    feed_io_close(w->io, on_feed_closed, w);
}

void worker_feed_close(struct worker *w, void (*on_closed)(struct worker *w))
{
    w->on_feed_closed = on_closed;
    keeper_close(w->keeper, KEEP_MS, on_kept, w);
}

void worker_feed_fini(struct worker *w)
{
    key_gate_destroy(w->gate);
    replica_fini(&w->replica);
    redis_url_fini(&w->url);
}
