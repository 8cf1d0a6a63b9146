// SPDX-License-Identifier: Apache-2.0
// What is kept, in one directory for all workers of a host:
//
//   catalog, catalog.1      the models and where the feed stood (snapshot.h)
//   keys-<slot>             each worker's keys and refusals, as a diary (key_diary.h)
//   bye-<id>                what a worker could not say to the admins (farewell.h)
//   lock-...                who writes; the kernel frees them with the process
//
// A disk that fails costs nothing but the copy: it is said once a reason in the log,
// and counted. Serving never waits for it.
#include "services/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "services/catalog_saver.h"
#include "services/diary_writer.h"
#include "services/state_load.h"

enum { TICK_MS = 1000 };

struct keeper {
    struct keeper_options options;
    struct state_dir dir;
    struct diary_writer *diary; // NULL: nothing is kept
    struct catalog_saver *catalog;
    uv_timer_t timer;               // while closing: how long it may take
    int diary_error, catalog_error; // the last ones; 0 = it works
    struct keeper_counters counters;
    unsigned open_parts;
    void (*on_closed)(void *ctx, bool ended);
    void *closed_ctx;
};

// -- what became of it ------------------------------------------------------

static void note(struct keeper *k, const char *what, int error, int *last)
{
    k->counters.errors += error != 0;
    if (error != 0 && error != *last)
        LOG_ERROR("state_write_failed", LOG_CSTR("what", what),
                  LOG_CSTR("error", strerror(-error)));
    if (error == 0 && *last != 0)
        LOG_INFO("state_written_again", LOG_CSTR("what", what));
    *last = error;
    if (k->diary_error == 0 && k->catalog_error == 0)
        k->counters.saved_ms = clock_boot_ms();
}

static void on_diary(void *ctx, int error)
{
    struct keeper *k = ctx;
    note(k, "keys", error, &k->diary_error);
}

static void on_noted(void *ctx)
{
    struct keeper *k = ctx;
    if (k->options.on_noted != NULL && keeper_is_noted(k))
        k->options.on_noted(k->options.ctx);
}

static void on_catalog(void *ctx, int error, bool written)
{
    struct keeper *k = ctx;
    k->counters.saves += error == 0 && written;
    note(k, "catalog", error, &k->catalog_error);
}

bool keeper_keeps(const struct keeper *k)
{
    return k->diary != NULL;
}

// While it closes nothing is noted any more.
bool keeper_is_noted(const struct keeper *k)
{
    return k->open_parts == 0 && (k->diary == NULL || diary_writer_is_noted(k->diary));
}

struct keeper_counters keeper_counters(const struct keeper *k)
{
    return k->counters;
}

// -- opening ----------------------------------------------------------------

static void refuse(struct keeper *k, const char *why)
{
    LOG_ERROR("state_dir_refused", LOG_CSTR("path", k->options.path), LOG_CSTR("why", why));
    k->counters.errors++;
    state_dir_close(&k->dir);
}

static void on_tick(uv_timer_t *timer)
{
    struct keeper *k = CM_CONTAINER_OF(timer, struct keeper, timer);
    uint64_t now_ms = clock_boot_ms();
    diary_writer_tick(k->diary, now_ms);
    catalog_saver_tick(k->catalog, now_ms);
}

static void start_writing(struct keeper *k, const struct state_loaded *loaded)
{
    const struct keeper_options *o = &k->options;
    const struct diary_writer_options diary = {.loop = o->loop,
                                               .dir = &k->dir,
                                               .store = o->store,
                                               .cache = o->cache,
                                               .feed = o->feed,
                                               .slot = o->slot,
                                               .whole = loaded->diary_is_whole,
                                               .size = loaded->diary_size,
                                               .on_written = on_diary,
                                               .on_noted = on_noted,
                                               .ctx = k};
    const struct catalog_saver_options catalog = {.loop = o->loop,
                                                  .dir = &k->dir,
                                                  .store = o->store,
                                                  .replica = o->replica,
                                                  .feed = o->feed,
                                                  .saved = loaded->catalog_is_whole,
                                                  .on_written = on_catalog,
                                                  .ctx = k};
    k->diary = diary_writer_open(&diary);
    k->catalog = catalog_saver_open(&catalog);
    uv_timer_start(&k->timer, on_tick, TICK_MS, TICK_MS);
}

static void load(struct keeper *k)
{
    const struct keeper_options *o = &k->options;
    const struct state_load what = {.dir = &k->dir,
                                    .store = o->store,
                                    .slot = o->slot,
                                    .replica = o->replica,
                                    .feed = o->feed,
                                    .cache = o->cache};
    struct state_loaded loaded;
    uint64_t start_us = clock_boot_us();
    state_load(&what, &loaded);
    if (loaded.foreign) {
        refuse(k, "it holds the state of another prefix, database or version: "
                  "empty it or name another");
        return;
    }
    LOG_INFO("state_loaded", LOG_U64("models", catalog_count(o->replica->shown)),
             LOG_U64("revision", feed_position(o->feed).revision), LOG_U64("keys", loaded.keys),
             LOG_U64("took_ms", (clock_boot_us() - start_us) / 1000));
    start_writing(k, &loaded);
}

struct keeper *keeper_open(const struct keeper_options *options)
{
    struct keeper *k = xcalloc(1, sizeof(*k));
    k->options = *options;
    k->dir.fd = -1;
    uv_timer_init(options->loop, &k->timer);
    if (options->path[0] == '\0')
        return k;
    int error = state_dir_open(&k->dir, options->path);
    if (error == 0)
        load(k);
    else if (error == -EPERM)
        refuse(k, "it must be ours, and no other user may write to it");
    else
        refuse(k, error == -ELOOP ? "it is no directory" : strerror(-error));
    return k;
}

// -- closing ----------------------------------------------------------------

static void tell_closed(struct keeper *k, bool ended)
{
    void (*on_closed)(void *, bool) = k->on_closed;
    k->on_closed = NULL;
    if (on_closed != NULL)
        on_closed(k->closed_ctx, ended);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct keeper *k = CM_CONTAINER_OF(handle, struct keeper, timer);
    state_dir_close(&k->dir);
    tell_closed(k, true);
    free(k);
}

static void on_part_closed(void *ctx)
{
    struct keeper *k = ctx;
    if (--k->open_parts == 0)
        uv_close((uv_handle_t *)&k->timer, on_timer_closed);
}

static void on_patience(uv_timer_t *timer)
{
    struct keeper *k = CM_CONTAINER_OF(timer, struct keeper, timer);
    LOG_WARN("state_write_hangs", LOG_CSTR("path", k->options.path));
    tell_closed(k, false);
}

void keeper_close(struct keeper *k, uint64_t patience_ms, void (*on_closed)(void *ctx, bool ended),
                  void *ctx)
{
    k->on_closed = on_closed;
    k->closed_ctx = ctx;
    k->open_parts = k->diary != NULL ? 3 : 1;
    if (k->diary != NULL) {
        uv_timer_start(&k->timer, on_patience, patience_ms, 0);
        diary_writer_close(k->diary, on_part_closed, k);
        catalog_saver_close(k->catalog, on_part_closed, k);
    }
    on_part_closed(k);
}
