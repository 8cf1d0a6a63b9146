// SPDX-License-Identifier: Apache-2.0
// The ops child: one loop, one small server, no Redis. It must answer whatever
// becomes of the workers, so it only reads the mapping and never waits.
#include "services/ops.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/http/server.h"
#include "services/heritage.h"
#include "services/ops_report.h"
#include "services/process_stats.h"

enum {
    BEAT_MS = 250,
    BEATS_PER_STATS = 4,
    MAX_CONNECTIONS = 256,
    IDLE_MS = 30000,
    HEAD_MS = 10000,
    WRITE_MS = 20000,
    MAX_BODY = 4096,
    CUT_AFTER_MS = 200
};

struct ops {
    const struct ops_start *start;
    uv_loop_t loop;
    uv_timer_t beat, cut;
    uv_signal_t dismiss;
    struct server *server;
    unsigned beats;
};

static void send_text(struct call *c, int status, struct slice type, const struct buf *text)
{
    reply_send_copy(c, status, type, buf_slice(text));
}

static void send_json(struct call *c, int status, const char *text)
{
    reply_send_copy(c, status, SLICE_LIT("application/json"), slice_of(text));
}

static void send_ready(struct ops *o, struct call *c)
{
    struct buf text = {0};
    bool ready = ops_report_ready(&text, o->start->shm, clock_boot_ms());
    send_text(c, ready ? 200 : 503, SLICE_LIT("application/json"), &text);
    buf_fini(&text);
}

static void send_metrics(struct ops *o, struct call *c)
{
    struct buf text = {0};
    ops_report_metrics(&text, o->start->shm, clock_boot_ms());
    send_text(c, 200, SLICE_LIT("text/plain; version=0.0.4; charset=utf-8"), &text);
    buf_fini(&text);
}

static void send_method_error(struct call *c)
{
    static const char text[] = "{\"error\":{\"code\":\"method_not_allowed\"}}\n";
    static const struct slice body = {text, sizeof(text) - 1};
    struct reply r = {.status = 405, .parts = &body, .part_count = 1, .length = body.len};
    reply_add_header(&r, SLICE_LIT("content-type"), SLICE_LIT("application/json"));
    reply_add_header(&r, SLICE_LIT("allow"), SLICE_LIT("GET, HEAD"));
    reply_send(c, &r);
}

static void handle(void *ctx, struct call *c)
{
    struct ops *o = ctx;
    struct slice path = call_path(c);
    if (!call_is_head(c) && !slice_equal(call_method(c), SLICE_LIT("GET")))
        send_method_error(c);
    else if (slice_equal(path, SLICE_LIT("/livez")))
        send_json(c, 200, "{\"live\":true}\n");
    else if (slice_equal(path, SLICE_LIT("/readyz")))
        send_ready(o, c);
    else if (slice_equal(path, SLICE_LIT("/metrics")))
        send_metrics(o, c);
    else
        send_json(c, 404, "{\"error\":{\"code\":\"not_found\"}}\n");
}

static void refuse(void *ctx, struct call *c, struct reply *r)
{
    (void)ctx;
    (void)c;
    static const char text[] = "{\"error\":{\"code\":\"bad_request\"}}\n";
    static const struct slice body = {text, sizeof(text) - 1};
    r->parts = &body;
    r->part_count = 1;
    r->length = body.len;
    reply_add_header(r, SLICE_LIT("content-type"), SLICE_LIT("application/json"));
}

static void on_beat(uv_timer_t *timer)
{
    struct ops *o = CM_CONTAINER_OF(timer, struct ops, beat);
    o->start->block->heartbeat_ms = clock_boot_ms();
    log_set_level(shm_log_level(o->start->shm));
    if (o->beats++ % BEATS_PER_STATS == 0)
        process_stats_store(o->start->block->metrics);
}

static void on_cut(uv_timer_t *timer)
{
    server_cut(CM_CONTAINER_OF(timer, struct ops, cut)->server);
}

static void on_drained(void *ctx)
{
    struct ops *o = ctx;
    uv_close((uv_handle_t *)&o->beat, NULL);
    uv_close((uv_handle_t *)&o->cut, NULL);
    uv_close((uv_handle_t *)&o->dismiss, NULL);
    uv_stop(&o->loop);
}

static void on_dismiss(uv_signal_t *signal, int number)
{
    (void)number;
    struct ops *o = CM_CONTAINER_OF(signal, struct ops, dismiss);
    if (!o->start->block->accepting)
        return;
    o->start->block->accepting = false;
    uv_timer_start(&o->cut, on_cut, CUT_AFTER_MS, 0);
    server_drain(o->server, on_drained, o);
}

static void start_loop(struct ops *o)
{
    CM_ASSERT(uv_loop_init(&o->loop) == 0);
    uv_timer_init(&o->loop, &o->beat);
    uv_timer_init(&o->loop, &o->cut);
    uv_signal_init(&o->loop, &o->dismiss);
    uv_timer_start(&o->beat, on_beat, 0, BEAT_MS);
    uv_signal_start(&o->dismiss, on_dismiss, HERITAGE_DISMISS);
}

int ops_run(const struct ops_start *start)
{
    struct ops o = {.start = start};
    start_loop(&o);
    struct server_options options = {.max_connections = MAX_CONNECTIONS,
                                     .idle_timeout_ms = IDLE_MS,
                                     .head_timeout_ms = HEAD_MS,
                                     .write_timeout_ms = WRITE_MS,
                                     .max_body = MAX_BODY,
                                     .handler = handle,
                                     .refuse = refuse,
                                     .ctx = &o};
    o.server = server_create(&o.loop, &options);
    int error = server_listen(o.server, start->listener, NULL);
    if (error != 0) {
        LOG_ERROR("listen_failed", LOG_CSTR("error", strerror(-error)));
        return EXIT_FAILURE;
    }
    start->block->accepting = true;
    uv_run(&o.loop, UV_RUN_DEFAULT);
    server_destroy(o.server);
    uv_run(&o.loop, UV_RUN_DEFAULT);
    CM_ASSERT(uv_loop_close(&o.loop) == 0);
    return EXIT_SUCCESS;
}
