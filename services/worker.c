// SPDX-License-Identifier: Apache-2.0
// The wiring of one worker: who tells whom. Everything runs on one loop.
//
//   feed_io --actions--> replica (models), gate (keys); --on_change--> gate, block, log
//   publish --> idle turns render the pages that changed, one each
//   server --> models_api --> gate, replica; --on_access--> counters, log
//   beat (50 ms): heartbeat, vacant neighbours, log level, certificate; every
//   fourth: metrics
//
//   serving -> draining: dismissed by the supervisor. Not ready, nothing is accepted any more; feed
//   and acks go on, so that a revocation reaches the last answer too. Shortly
//   before the deadline what is left is cut.
//   -> leaving: no connection is left; the feed says bye.
//   -> left: the loop has nothing more to do and ends.
#include "services/worker.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "services/process_stats.h"
#include "services/worker_private.h"

enum {
    BEATS_PER_METRICS = 4,
    BEATS_PER_PROCESS_STATS = 20,
    MAX_BODY = 64 * 1024,
    FIRST_CATALOG_MS = 500, // connections wait in the queue for it, so long at the most
    CUT_BEFORE_MS = 700,    // before the deadline: for the cut, the bye and the exit
    HEAP_SPARE = 4 << 20,   // bytes at the heap's end that are kept
};

// -- the beat ---------------------------------------------------------------

// A worker without a catalog can only say 500, so it lets its connections wait a
// moment; but not for ever: where Redis is away, they are owed an answer.
static bool may_accept(const struct worker *w, uint64_t now_ms)
{
    return w->start->block->ready || now_ms - w->started_ms >= FIRST_CATALOG_MS;
}

static void start_accepting(struct worker *w)
{
    const struct worker_start *start = w->start;
    w->neighbours = (struct neighbours){.server = w->server,
                                        .shm = start->shm,
                                        .slot = start->slot,
                                        .listeners = start->listeners,
                                        .tls_listeners = start->tls_listeners,
                                        .tls = w->tls};
    int error = neighbours_start(&w->neighbours);
    if (error != 0) {
        // The supervisor starts another.
        LOG_ERROR("listen_failed", LOG_CSTR("error", strerror(-error)));
        exit(EXIT_FAILURE);
    }
    start->block->accepting = true;
}

static void on_beat(uv_timer_t *timer)
{
    struct worker *w = CM_CONTAINER_OF(timer, struct worker, beat);
    uint64_t now = clock_boot_ms();
    w->start->block->heartbeat_ms = now;
    log_set_level(shm_log_level(w->start->shm));
    worker_tls_look(w);
    if (w->start->block->accepting)
        neighbours_look(&w->neighbours, now);
    else if (!w->start->block->draining && may_accept(w, now))
        start_accepting(w);
    if (w->beats % BEATS_PER_METRICS == 0)
        worker_stats_store_metrics(&w->stats);
    if (w->beats % BEATS_PER_PROCESS_STATS == 0)
        process_stats_store(w->start->block->metrics);
    w->beats++;
}

// -- leaving ----------------------------------------------------------------

static void on_feed_closed(struct worker *w)
{
    uv_close((uv_handle_t *)&w->beat, NULL);
    uv_close((uv_handle_t *)&w->cut, NULL);
    uv_close((uv_handle_t *)&w->dismiss, NULL);
    uv_close((uv_handle_t *)&w->turn, NULL);
    uv_stop(&w->loop);
}

static void on_drained(void *ctx)
{
    struct worker *w = ctx;
    worker_stats_store_metrics(&w->stats);
    worker_feed_close(w, on_feed_closed);
}

static void on_cut(uv_timer_t *timer)
{
    struct worker *w = CM_CONTAINER_OF(timer, struct worker, cut);
    LOG_WARN("cut", LOG_U64("connections", server_counters(w->server)->open));
    server_cut(w->server);
}

static uint64_t cut_in_ms(const struct worker *w)
{
    uint64_t now = clock_boot_ms(), deadline = w->start->block->deadline_ms;
    if (deadline == 0)
        deadline = now + w->settings->drain_timeout_s * 1000;
    return deadline > now + CUT_BEFORE_MS ? deadline - now - CUT_BEFORE_MS : 0;
}

// The signal stays taken until the end: its default action would be ours.
static void on_dismiss(uv_signal_t *signal, int number)
{
    (void)number;
    struct worker *w = CM_CONTAINER_OF(signal, struct worker, dismiss);
    struct shm_block *b = w->start->block;
    if (b->draining)
        return;
    b->draining = true;
    b->ready = false;
    b->accepting = false;
    LOG_INFO("draining", LOG_U64("connections", server_counters(w->server)->open));
    uv_timer_start(&w->cut, on_cut, cut_in_ms(w), 0);
    server_drain(w->server, on_drained, w);
    neighbours_stop(&w->neighbours);
    for (unsigned slot = 0; slot < shm_slots(w->start->shm); slot++) {
        close(w->start->listeners[slot]);
        if (w->tls != NULL)
            close(w->start->tls_listeners[slot]);
    }
}

// -- starting ---------------------------------------------------------------

static void on_turn(uv_prepare_t *prepare)
{
    turns_note(&CM_CONTAINER_OF(prepare, struct worker, turn)->turns);
}

static void start_loop(struct worker *w)
{
    CM_ASSERT(uv_loop_init(&w->loop) == 0);
    uv_timer_init(&w->loop, &w->beat);
    uv_timer_init(&w->loop, &w->cut);
    uv_signal_init(&w->loop, &w->dismiss);
    uv_prepare_init(&w->loop, &w->turn);
    uv_timer_start(&w->beat, on_beat, 0, NEIGHBOURS_LOOK_MS);
    uv_signal_start(&w->dismiss, on_dismiss, HERITAGE_DISMISS);
    w->turns.values = w->start->block->metrics;
    uv_prepare_start(&w->turn, on_turn);
}

static void on_request(void *ctx, struct call *c)
{
    struct worker *w = ctx;
    models_api_handle(&w->api, c);
}

static void on_refuse(void *ctx, struct call *c, struct reply *r)
{
    struct worker *w = ctx;
    models_api_refuse(&w->api, c, r);
}

static void on_access(void *ctx, const struct server_access *a)
{
    struct worker *w = ctx;
    access_note(&w->access, a);
}

static bool may_speak_http2(const struct worker *w)
{
    const char *build_id;
    bool safe = server_http2_is_safe(&build_id);
    if (w->settings->http2 != HTTP2_ON || safe)
        return w->settings->http2 != HTTP2_OFF;
    if (w->start->slot == 0) // one line is enough
        LOG_WARN("http2_off", LOG_CSTR("libh2o", build_id),
                 LOG_CSTR("reason", "not a build of libh2o that the guard was verified on"),
                 LOG_CSTR("hint", "CM_HTTP2=force serves HTTP/2 all the same"));
    return false;
}

static void start_server(struct worker *w)
{
    const struct settings *s = w->settings;
    const struct server_options options = {.max_connections = (uint32_t)s->max_connections,
                                           .idle_timeout_ms = (uint32_t)s->idle_timeout_s * 1000,
                                           .head_timeout_ms = (uint32_t)s->head_timeout_s * 1000,
                                           .write_timeout_ms = (uint32_t)s->write_timeout_s * 1000,
                                           .max_body = MAX_BODY,
                                           .http2 = may_speak_http2(w),
                                           .connection_memory = MODELS_API_CONNECTION_MEMORY,
                                           .handler = on_request,
                                           .refuse = on_refuse,
                                           .on_access = on_access,
                                           .time_calls = s->access_log == ACCESS_LOG_ALL,
                                           .ctx = w};
    w->access = (struct access){w->start->block->metrics, (enum access_log)s->access_log};
    w->server = server_create(&w->loop, &options);
    w->api =
        (struct models_api){.gate = w->gate, .replica = &w->replica, .check_sum = s->key_checksum};
    cors_init(&w->api.cors, slice_of(s->cors_origins));
    w->stats = (struct worker_stats){.block = w->start->block,
                                     .server = w->server,
                                     .tls = w->tls,
                                     .gate = w->gate,
                                     .replica = &w->replica,
                                     .io = w->io,
                                     .keeper = &w->keeper};
    worker_stats_store_state(&w->stats); // there may be a catalog from disk
}

static void finish(struct worker *w)
{
    LOG_INFO("left", LOG_U64("requests", server_counters(w->server)->requests));
    if (w->disk_hangs)
        _exit(EXIT_SUCCESS); // there is a thread that may never return
    server_destroy(w->server);
    tls_destroy(w->tls);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    CM_ASSERT(uv_loop_close(&w->loop) == 0);
    worker_feed_fini(w);
}

// What a turn's answers took is free after it. By default glibc gives the end of the
// heap back to the kernel then and fetches it again in the next turn, page by page.
static void keep_heap(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_SPARE);
}

int worker_run(const struct worker_start *start)
{
    keep_heap();
    struct worker w = {.start = start, .settings = start->settings, .started_ms = clock_boot_ms()};
    if (!worker_tls_start(&w))
        return EXIT_FAILURE;
    start_loop(&w);
    worker_feed_start(&w);
    start_server(&w);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    finish(&w);
    return EXIT_SUCCESS;
}
