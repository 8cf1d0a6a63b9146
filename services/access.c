// SPDX-License-Identifier: Apache-2.0
// The log names the path without its query: nobody should put a key there, so
// somebody will.
#include "services/access.h"

#include "common/base/log.h"
#include "services/key_gate.h"
#include "services/metrics_table.h"
#include "services/public_path.h"

static struct slice without_query(struct slice path)
{
    return slice_take(&path, '?');
}

static enum metric_route route_of(struct slice method, struct slice path)
{
    switch (public_path_read(method, path).route) {
    case PUBLIC_ROUTE_LIST:
        return METRIC_ROUTE_LIST;
    case PUBLIC_ROUTE_MODEL:
        return METRIC_ROUTE_MODEL;
    case PUBLIC_ROUTE_PREFLIGHT:
        return METRIC_ROUTE_PREFLIGHT;
    default:
        return METRIC_ROUTE_OTHER;
    }
}

static const char *version_name(int http_version)
{
    return http_version >= 0x200 ? "2" : http_version >= 0x101 ? "1.1" : "1.0";
}

static bool is_logged(enum access_log mode, int status)
{
    return mode == ACCESS_LOG_ALL || (mode == ACCESS_LOG_ERRORS && status >= 500);
}

// A 500 that nobody has given a cause for is a bug of ours.
static const char *const causes[KEY_DOUBTS] = {
    [KEY_DOUBT_NONE] = "bug",
    [KEY_DOUBT_STORE_AWAY] = "store_away",
    [KEY_DOUBT_KEY_UNSURE] = "key_unsure",
    [KEY_DOUBT_TOO_MANY] = "too_many_waiting",
    [KEY_DOUBT_LEASE_OVER] = "lease_over",
    [KEY_DOUBT_NO_CATALOG] = "no_catalog",
};

static struct log_field cause_of(const struct server_access *a)
{
    return a->status >= 500 ? LOG_CSTR("cause", causes[a->note]) : LOG_NONE;
}

static void write_line(const struct server_access *a, struct slice path)
{
    LOG_AT(a->status >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "request",
           LOG_STR("method", a->method), LOG_STR("path", path), LOG_I64("status", a->status),
           LOG_U64("bytes", a->body_len), LOG_U64("duration_us", a->duration_us),
           LOG_CSTR("http", version_name(a->http_version)), LOG_STR("request_id", a->request_id),
           cause_of(a));
}

void access_note(void *ctx, const struct server_access *a)
{
    const struct access *access = ctx;
    struct slice path = without_query(a->path);
    metric_add(access->values, metrics_request_row(route_of(a->method, path), a->status), 1);
    if (a->status >= 500)
        metric_add(access->values, METRIC_FAILURES + (size_t)a->note, 1);
    if (is_logged(access->mode, a->status))
        write_line(a, path);
}
