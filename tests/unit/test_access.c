// SPDX-License-Identifier: Apache-2.0
#include "services/access.h"

#include <stdio.h>
#include <string.h>

#include "services/key_gate.h"
#include "services/metrics_table.h"
#include "tests/support/log_capture.h"
#include "tests/support/test.h"

static metric_value values[METRIC_ROWS];
static int http_version = 0x101;

static struct server_access request(const char *method, const char *path, int status)
{
    return (struct server_access){.method = slice_of(method),
                                  .path = slice_of(path),
                                  .status = status,
                                  .http_version = http_version,
                                  .request_id = SLICE_LIT("req_cm_1")};
}

static void note(enum access_log mode, const char *method, const char *path, int status)
{
    struct access access = {values, mode};
    struct server_access a = request(method, path, status);
    access_note(&access, &a);
}

static uint64_t count(enum metric_route route, int status)
{
    return metric_get(values, metrics_request_row(route, status));
}

static void counting(void **state)
{
    (void)state;
    memset(values, 0, sizeof(values));
    note(ACCESS_LOG_OFF, "GET", "/v1/models", 200);
    note(ACCESS_LOG_OFF, "HEAD", "/v1/models?limit=1", 304);
    note(ACCESS_LOG_OFF, "GET", "/v1/models/a?b", 404);
    note(ACCESS_LOG_OFF, "OPTIONS", "/v1/models/a", 204);
    note(ACCESS_LOG_OFF, "POST", "/v1/models", 405);
    note(ACCESS_LOG_OFF, "GET", "/", 404);
    note(ACCESS_LOG_OFF, "GET", "/v1/models", 0);
    assert_int_equal(count(METRIC_ROUTE_LIST, 200), 1);
    assert_int_equal(count(METRIC_ROUTE_LIST, 304), 1);
    assert_int_equal(count(METRIC_ROUTE_LIST, 0), 1);
    assert_int_equal(count(METRIC_ROUTE_MODEL, 404), 1);
    assert_int_equal(count(METRIC_ROUTE_PREFLIGHT, 204), 1);
    assert_int_equal(count(METRIC_ROUTE_OTHER, 404), 2);
}

static size_t lines(enum access_log mode, int status)
{
    log_capture_start();
    note(mode, "GET", "/v1/models?key=cm-secret", status);
    return log_capture_stop("\"event\":\"request\"");
}

static void logging(void **state)
{
    (void)state;
    assert_int_equal(lines(ACCESS_LOG_OFF, 500), 0);
    assert_int_equal(lines(ACCESS_LOG_ERRORS, 500), 1);
    assert_int_equal(lines(ACCESS_LOG_ERRORS, 404), 0);
    assert_int_equal(lines(ACCESS_LOG_ERRORS, 0), 0);
    assert_int_equal(lines(ACCESS_LOG_ALL, 200), 1);
    assert_int_equal(lines(ACCESS_LOG_ALL, 0), 1);
}

static void versions_are_named(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *member;
    } cases[] = {
        {0x100, "\"http\":\"1.0\""}, {0x101, "\"http\":\"1.1\""}, {0x200, "\"http\":\"2\""}};
    for (size_t i = 0; i < CM_ARRAY_LEN(cases); i++) {
        http_version = cases[i].version;
        log_capture_start();
        note(ACCESS_LOG_ALL, "GET", "/v1/models", 200);
        assert_int_equal(log_capture_stop(cases[i].member), 1);
    }
    http_version = 0x101;
}

static void queries_are_not_logged(void **state)
{
    (void)state;
    log_capture_start();
    note(ACCESS_LOG_ALL, "GET", "/v1/models?key=cm-secret", 200);
    note(ACCESS_LOG_ALL, "GET", "/v1/models?key=cm-secret", 500);
    assert_int_equal(log_capture_stop("secret"), 0);
}

static size_t says(int status, int cause, const char *text)
{
    struct access access = {values, ACCESS_LOG_ALL};
    struct server_access a = request("GET", "/v1/models", status);
    a.note = cause;
    log_capture_start();
    access_note(&access, &a);
    return log_capture_stop(text);
}

// What nobody had a cause for is a bug; the log and /metrics use the same words.
static void a_500_has_a_cause(void **state)
{
    (void)state;
    memset(values, 0, sizeof(values));
    assert_int_equal(says(200, KEY_DOUBT_NONE, "cause"), 0);
    assert_int_equal(says(404, KEY_DOUBT_NONE, "cause"), 0);
    assert_int_equal(says(0, KEY_DOUBT_STORE_AWAY, "cause"), 0); // the client had left
    for (int doubt = 0; doubt < KEY_DOUBTS; doubt++) {
        char text[64];
        const char *label = metrics_table[METRIC_FAILURES + doubt].labels; // cause="..."
        snprintf(text, sizeof(text), "\"cause\":%s", label + strlen("cause="));
        assert_int_equal(says(500, doubt, text), 1);
        assert_int_equal(metric_get(values, METRIC_FAILURES + (size_t)doubt), 1);
    }
    assert_int_equal(METRIC_FAILURES_END - METRIC_FAILURES + 1, KEY_DOUBTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting),           cmocka_unit_test(logging),
        cmocka_unit_test(versions_are_named), cmocka_unit_test(queries_are_not_logged),
        cmocka_unit_test(a_500_has_a_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
