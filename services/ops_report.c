// SPDX-License-Identifier: Apache-2.0
// Readiness and metrics of the whole service.
//
// Counters are sums over everybody who ever lived. Gauges are shown for each
// live worker under its slot; while a roll has two in one slot, for the newer
// one as soon as it is ready. What can be computed from the block at this
// moment (state, revision, age) is, so that a stalled worker cannot look fresh.
#include "services/ops_report.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/model/feed.h"

#define RELOADS_HELP "Certificates at SIGHUP; refused: the old one stayed in use."

static bool is_live(const struct shm_block *b)
{
    return b->pid != 0;
}

static uint64_t age_of(uint64_t at_ms, uint64_t now_ms)
{
    return now_ms > at_ms ? now_ms - at_ms : 0;
}

// -- readiness --------------------------------------------------------------

static void append_bool(struct buf *out, const char *name, bool value)
{
    buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

// What CM_STATE_DIR has to do with it.
static void append_disk(struct buf *out, const struct shm_block *b, uint64_t now_ms)
{
    uint64_t saved = b->saved_ms;
    append_bool(out, "from_disk", b->from_disk);
    if (saved != 0)
        buf_printf(out, ",\"saved_age_ms\":%" PRIu64, age_of(saved, now_ms));
    else
        buf_append_str(out, ",\"saved_age_ms\":null");
    buf_printf(out, ",\"save_errors\":%" PRIu64, metric_get(b->metrics, METRIC_STATE_ERRORS));
}

// Models that are not shown as the store has them.
static void append_refused(struct buf *out, const struct shm_block *b)
{
    buf_printf(out, ",\"invalid\":%" PRIu64 ",\"poisoned\":%" PRIu64,
               metric_get(b->metrics, METRIC_CATALOG_INVALID),
               metric_get(b->metrics, METRIC_CATALOG_POISONED));
}

static void append_certificate(struct buf *out, const struct shm_block *b)
{
    char text[CLOCK_RFC3339_MAX];
    uint64_t expiry = metric_get(b->metrics, METRIC_TLS_EXPIRY);
    if (expiry == 0 || expiry > CLOCK_UNIX_MAX) {
        buf_append_str(out, ",\"certificate_expires_at\":null");
        return;
    }
    clock_format_rfc3339((int64_t)expiry, "Z", text);
    buf_printf(out, ",\"certificate_expires_at\":\"%s\"", text);
}

static void append_worker(struct buf *out, unsigned slot, const struct shm_block *b,
                          uint64_t now_ms)
{
    uint32_t state = b->feed_state, reason = b->feed_reason;
    uint64_t confirmed = b->confirmed_ms;
    buf_printf(out, "{\"slot\":%u,\"pid\":%d,\"incarnation\":%" PRIu64, slot, (int)b->pid,
               (uint64_t)b->incarnation);
    append_bool(out, "ready", b->ready);
    append_bool(out, "accepting", b->accepting);
    append_bool(out, "draining", b->draining);
    buf_printf(out, ",\"state\":\"%s\",\"reason\":\"%s\"", feed_state_name((enum feed_state)state),
               feed_reason_name((enum feed_reason)reason));
    buf_printf(out, ",\"epoch\":\"%016" PRIx64 "\",\"revision\":%" PRIu64, (uint64_t)b->epoch,
               (uint64_t)b->revision);
    if (confirmed != 0)
        buf_printf(out, ",\"lag_ms\":%" PRIu64, age_of(confirmed, now_ms));
    else
        buf_append_str(out, ",\"lag_ms\":null");
    append_disk(out, b, now_ms);
    append_refused(out, b);
    append_certificate(out, b);
    buf_printf(out, ",\"heartbeat_age_ms\":%" PRIu64 "}", age_of(b->heartbeat_ms, now_ms));
}

static void append_absent(struct buf *out, unsigned slot)
{
    buf_printf(out,
               "{\"slot\":%u,\"pid\":null,\"incarnation\":null,\"ready\":false,"
               "\"accepting\":false,\"draining\":false,\"state\":\"absent\",\"reason\":\"\","
               "\"epoch\":null,\"revision\":null,\"lag_ms\":null,\"from_disk\":false,"
               "\"saved_age_ms\":null,\"save_errors\":0,\"invalid\":0,\"poisoned\":0,"
               "\"certificate_expires_at\":null,\"heartbeat_age_ms\":null}",
               slot);
}

static void append_slot(struct buf *out, struct shm *m, unsigned slot, uint64_t now_ms)
{
    bool any = false;
    for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++) {
        const struct shm_block *b = shm_block(m, slot, i);
        if (!is_live(b))
            continue;
        if (any)
            buf_append_char(out, ',');
        append_worker(out, slot, b, now_ms);
        any = true;
    }
    if (!any)
        append_absent(out, slot);
}

// Ready workers whose loop turns: one that has stopped serves nobody.
static uint64_t count_ready(struct shm *m, uint64_t now_ms)
{
    uint64_t count = 0;
    for (unsigned slot = 0; slot < shm_slots(m); slot++)
        for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++) {
            const struct shm_block *b = shm_block(m, slot, i);
            count += is_live(b) && b->ready && age_of(b->heartbeat_ms, now_ms) < SHM_SILENT_MS;
        }
    return count;
}

bool ops_report_ready(struct buf *out, struct shm *m, uint64_t now_ms)
{
    uint64_t able = count_ready(m, now_ms);
    bool draining = shm_draining(m), ready = able > 0 && !draining;
    buf_printf(out, "{\"ready\":%s", ready ? "true" : "false");
    append_bool(out, "draining", draining);
    buf_printf(out, ",\"workers_ready\":%" PRIu64 ",\"workers\":[", able);
    for (unsigned slot = 0; slot < shm_slots(m); slot++) {
        if (slot > 0)
            buf_append_char(out, ',');
        append_slot(out, m, slot, now_ms);
    }
    buf_append_str(out, "]}\n");
    return ready;
}

// -- metrics ----------------------------------------------------------------

// The block that stands for a slot, or NULL.
static const struct shm_block *spokesman(struct shm *m, unsigned slot)
{
    const struct shm_block *a = shm_block(m, slot, 0), *b = shm_block(m, slot, 1);
    if (!is_live(a) || !is_live(b))
        return is_live(a) ? a : is_live(b) ? b : NULL;
    const struct shm_block *newer = a->incarnation > b->incarnation ? a : b;
    return newer->ready ? newer : newer == a ? b : a;
}

static uint64_t gauge_value(const struct shm_block *b, size_t row, uint64_t now_ms)
{
    if (row >= METRIC_FEED_STATE && row <= METRIC_FEED_STATE_END)
        return b->feed_state == row - METRIC_FEED_STATE;
    if (row >= METRIC_FEED_REASON && row <= METRIC_FEED_REASON_END)
        return b->feed_reason == row - METRIC_FEED_REASON + 1;
    if (row == METRIC_FEED_REVISION)
        return b->revision;
    if (row == METRIC_FEED_CONFIRMED_AGE)
        return age_of(b->confirmed_ms, now_ms);
    if (row == METRIC_FROM_DISK)
        return b->from_disk;
    if (row == METRIC_STATE_AGE)
        return age_of(b->saved_ms, now_ms);
    return metric_get(b->metrics, row);
}

static bool shows(const struct shm *m, unsigned slot, const struct shm_block *b, size_t row)
{
    if (b == NULL)
        return false;
    if (slot == shm_slots(m)) // the ops child serves nothing else
        return row == METRIC_RESIDENT_BYTES;
    if (row == METRIC_TLS_EXPIRY)
        return metric_get(b->metrics, row) != 0;
    if (row == METRIC_STATE_AGE)
        return b->saved_ms != 0;
    return row != METRIC_FEED_CONFIRMED_AGE || b->confirmed_ms != 0;
}

// The rows of one family of gauges, for every slot.
static void render_gauges(struct buf *out, struct shm *m, size_t first, size_t end, uint64_t now_ms)
{
    bool opened = false;
    for (unsigned slot = 0; slot <= shm_slots(m); slot++) {
        const struct shm_block *b = spokesman(m, slot);
        for (size_t row = first; row < end; row++) {
            if (!shows(m, slot, b, row))
                continue;
            if (!opened)
                buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", metrics_table[row].name,
                           metrics_table[row].help, metrics_table[row].name);
            opened = true;
            buf_printf(out, "%s{", metrics_table[row].name);
            if (slot == shm_slots(m))
                buf_append_str(out, "slot=\"ops\"");
            else
                buf_printf(out, "slot=\"%u\"", slot);
            if (metrics_table[row].labels[0] != '\0')
                buf_printf(out, ",%s", metrics_table[row].labels);
            buf_printf(out, "} %" PRIu64 "\n", gauge_value(b, row, now_ms));
        }
    }
}

static size_t family_end(size_t first)
{
    size_t end = first + 1;
    while (end < METRIC_ROWS && strcmp(metrics_table[end].name, metrics_table[first].name) == 0)
        end++;
    return end;
}

static void render_service(struct buf *out, struct shm *m, uint64_t now_ms)
{
    const struct metric rows[] = {
        {"cm_build_info", "version=\"" CM_VERSION "\"", METRIC_GAUGE, "1; the version as a label."},
        {"cm_workers", "", METRIC_GAUGE, "Worker slots."},
        {"cm_workers_ready", "", METRIC_GAUGE, "Workers that have a catalog and serve."},
        {"cm_draining", "", METRIC_GAUGE, "1 from the signal to leave on."},
        {"cm_child_restarts_total", "", METRIC_COUNTER,
         "Children that ended without being asked to."},
        {"cm_tls_reloads_total", "result=\"taken\"", METRIC_COUNTER, RELOADS_HELP},
        {"cm_tls_reloads_total", "result=\"refused\"", METRIC_COUNTER, RELOADS_HELP},
    };
    struct shm_reloads reloads = shm_reloads(m);
    const uint64_t values[] = {1,
                               shm_slots(m),
                               count_ready(m, now_ms),
                               shm_draining(m),
                               shm_restarts(m),
                               reloads.taken,
                               reloads.refused};
    metrics_render(out, rows, values, CM_ARRAY_LEN(rows));
}

void ops_report_metrics(struct buf *out, struct shm *m, uint64_t now_ms)
{
    uint64_t totals[METRIC_ROWS];
    shm_totals(m, totals);
    render_service(out, m, now_ms);
    for (size_t first = 0, end; first < METRIC_ROWS; first = end) {
        end = family_end(first);
        if (metrics_table[first].type == METRIC_COUNTER)
            metrics_render(out, &metrics_table[first], &totals[first], end - first);
        else
            render_gauges(out, m, first, end, now_ms);
    }
}
