// SPDX-License-Identifier: Apache-2.0
// For orchestrators and Prometheus. /livez never looks at Redis: restarting this
// process does not bring Redis back.
#include "admin/ops.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/http/reply.h"

// Why the journal cannot be written; NULL when it can be, or there is none.
static const char *journal_trouble(const struct admin_ops *o)
{
    return o->api->journal == NULL ? NULL : journal_error(o->api->journal);
}

static bool is_ready(const struct admin_ops *o)
{
    return !o->draining && store_watch_is_ready(o->watch) && journal_trouble(o) == NULL;
}

static const char *yes(bool value)
{
    return value ? "true" : "false";
}

static void add_journal(const struct admin_ops *o, struct buf *out)
{
    const char *trouble = journal_trouble(o);
    if (trouble != NULL)
        buf_printf(out, "{\"state\":\"failing\",\"why\":\"%s\"}", trouble);
    else
        buf_printf(out, "{\"state\":\"%s\"}", o->api->journal == NULL ? "none" : "good");
}

static void send_ready(const struct admin_ops *o, struct call *c)
{
    struct buf body = {.len = 0};
    bool ready = is_ready(o);
    buf_printf(&body,
               "{\"ready\":%s,\"draining\":%s,\"redis\":%s,\"subscription\":%s,"
               "\"head_revision\":%llu,\"workers\":%zu,\"store\":",
               yes(ready), yes(o->draining), yes(redis_is_up(o->data)),
               yes(redis_is_up(o->subscription)),
               (unsigned long long)store_watch_revision(o->watch), roster_count(o->roster));
    guard_write_state(o->api->guard, !o->api->guard->looked, NULL, &body);
    buf_append_str(&body, ",\"journal\":");
    add_journal(o, &body);
    buf_append_char(&body, '}');
    reply_send_copy(c, ready ? 200 : 503, SLICE_LIT("application/json"), buf_slice(&body));
    buf_fini(&body);
}

enum row {
    ROW_LEFT,
    ROW_2XX,
    ROW_3XX,
    ROW_4XX,
    ROW_5XX,
    ROW_OPEN,
    ROW_IN_FLIGHT,
    ROW_READY,
    ROW_EMPTY,
    ROW_FOREIGN,
    ROW_WENT_BACK,
    ROW_DIVERGED,
    ROW_NEWER_FORMAT,
    ROW_JOURNAL,
    ROW_REVISION,
    ROW_WORKERS,
    ROW_WAITING,
    ROW_LOG_DROPPED,
    ROW_COUNT
};

static const struct metric rows[ROW_COUNT] = {
    [ROW_LEFT] = {"cm_admin_http_requests_total", "code=\"left\"", METRIC_COUNTER,
                  "Requests answered, by class of status"},
    [ROW_2XX] = {"cm_admin_http_requests_total", "code=\"2xx\"", METRIC_COUNTER, ""},
    [ROW_3XX] = {"cm_admin_http_requests_total", "code=\"3xx\"", METRIC_COUNTER, ""},
    [ROW_4XX] = {"cm_admin_http_requests_total", "code=\"4xx\"", METRIC_COUNTER, ""},
    [ROW_5XX] = {"cm_admin_http_requests_total", "code=\"5xx\"", METRIC_COUNTER, ""},
    [ROW_OPEN] = {"cm_admin_http_connections", "", METRIC_GAUGE, "Open connections"},
    [ROW_IN_FLIGHT] = {"cm_admin_http_in_flight", "", METRIC_GAUGE, "Requests being answered"},
    [ROW_READY] = {"cm_admin_ready", "", METRIC_GAUGE,
                   "1 when Redis holds our history and the journal can be written"},
    [ROW_EMPTY] = {"cm_admin_store_suspect", "reason=\"empty\"", METRIC_GAUGE,
                   "1 while Redis does not hold our history, and why"},
    [ROW_FOREIGN] = {"cm_admin_store_suspect", "reason=\"foreign\"", METRIC_GAUGE, ""},
    [ROW_WENT_BACK] = {"cm_admin_store_suspect", "reason=\"went_back\"", METRIC_GAUGE, ""},
    [ROW_DIVERGED] = {"cm_admin_store_suspect", "reason=\"diverged\"", METRIC_GAUGE, ""},
    [ROW_NEWER_FORMAT] = {"cm_admin_store_suspect", "reason=\"newer_format\"", METRIC_GAUGE, ""},
    [ROW_JOURNAL] = {"cm_admin_journal_failing", "", METRIC_GAUGE,
                     "1 while the journal cannot be written, so that writes are refused"},
    [ROW_REVISION] = {"cm_admin_head_revision", "", METRIC_GAUGE, "Revision of the store"},
    [ROW_WORKERS] = {"cm_admin_workers", "", METRIC_GAUGE, "Workers that are counted"},
    [ROW_WAITING] = {"cm_admin_waiting", "", METRIC_GAUGE, "Writes that wait for workers"},
    [ROW_LOG_DROPPED] = {"cm_admin_log_dropped_total", "", METRIC_COUNTER,
                         "Log lines dropped because stderr would have blocked"},
};

static void send_metrics(const struct admin_ops *o, struct call *c)
{
    const struct server_counters *counters = server_counters(o->api_server);
    enum guard_reason reason = o->api->guard->reason;
    const uint64_t totals[ROW_COUNT] = {
        [ROW_LEFT] = o->api->answers[0],
        [ROW_2XX] = o->api->answers[2],
        [ROW_3XX] = o->api->answers[3],
        [ROW_4XX] = o->api->answers[4],
        [ROW_5XX] = o->api->answers[5],
        [ROW_OPEN] = counters->open,
        [ROW_IN_FLIGHT] = counters->in_flight,
        [ROW_READY] = is_ready(o),
        [ROW_EMPTY] = reason == GUARD_EMPTY,
        [ROW_FOREIGN] = reason == GUARD_FOREIGN,
        [ROW_WENT_BACK] = reason == GUARD_WENT_BACK,
        [ROW_DIVERGED] = reason == GUARD_DIVERGED,
        [ROW_NEWER_FORMAT] = reason == GUARD_NEWER_FORMAT,
        [ROW_JOURNAL] = journal_trouble(o) != NULL,
        [ROW_REVISION] = store_watch_revision(o->watch),
        [ROW_WORKERS] = roster_count(o->roster),
        [ROW_WAITING] = propagation_waiting(o->propagation),
        [ROW_LOG_DROPPED] = log_dropped(),
    };
    struct buf text = {.len = 0};
    metrics_render(&text, rows, totals, ROW_COUNT);
    reply_send_copy(c, 200, SLICE_LIT("text/plain; version=0.0.4"), buf_slice(&text));
    buf_fini(&text);
}

static void send_json(struct call *c, int status, struct slice body)
{
    reply_send_copy(c, status, SLICE_LIT("application/json"), body);
}

void admin_ops_handle(void *ctx, struct call *c)
{
    const struct admin_ops *o = ctx;
    struct slice path = call_path(c);
    if (!slice_equal(call_method(c), SLICE_LIT("GET")) && !call_is_head(c))
        send_json(c, 405, SLICE_LIT("{\"error\":\"method not allowed\"}"));
    else if (slice_equal(path, SLICE_LIT("/livez")))
        send_json(c, 200, SLICE_LIT("{\"alive\":true}"));
    else if (slice_equal(path, SLICE_LIT("/readyz")))
        send_ready(o, c);
    else if (slice_equal(path, SLICE_LIT("/metrics")))
        send_metrics(o, c);
    else
        send_json(c, 404, SLICE_LIT("{\"error\":\"not found\"}"));
}

void admin_ops_refuse(void *ctx, struct call *c, struct reply *reply)
{
    static const struct slice body = {"{\"error\":\"refused\"}", 19};
    (void)ctx;
    (void)c;
    reply_add_header(reply, SLICE_LIT("content-type"), SLICE_LIT("application/json"));
    reply->parts = &body;
    reply->part_count = 1;
    reply->length = body.len;
}
