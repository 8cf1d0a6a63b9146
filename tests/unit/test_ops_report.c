// SPDX-License-Identifier: Apache-2.0
// Readiness and metrics out of a mapping that the test fills itself.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/model/feed.h"
#include "services/ops_report.h"
#include "tests/support/test.h"

enum { NOW = 100000 };

struct world {
    struct shm *m;
    int fd;
    struct buf out;
};

static int setup(void **state)
{
    static struct world w;
    w.m = shm_create(2, &w.fd);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    shm_detach(w->m);
    close(w->fd);
    buf_fini(&w->out);
    return 0;
}

static struct shm_block *live(struct world *w, unsigned slot, unsigned index, uint64_t incarnation)
{
    struct shm_block *b = shm_block(w->m, slot, index);
    shm_block_claim(b, incarnation, 0);
    b->pid = 1000 + (int)slot;
    b->heartbeat_ms = NOW - 10;
    b->feed_state = FEED_LIVE;
    b->revision = 42;
    b->epoch = 0xAB;
    b->confirmed_ms = NOW - 30;
    b->accepting = b->ready = true;
    return b;
}

static bool ready(struct world *w)
{
    buf_clear(&w->out);
    return ops_report_ready(&w->out, w->m, NOW);
}

static void expect(struct world *w, const char *text)
{
    if (strstr(buf_cstr(&w->out), text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, buf_cstr(&w->out));
}

static void expect_not(struct world *w, const char *text)
{
    if (strstr(buf_cstr(&w->out), text) != NULL)
        fail_msg("'%s' is in:\n%s", text, buf_cstr(&w->out));
}

static void test_nobody_is_not_ready(void **state)
{
    struct world *w = *state;
    assert_false(ready(w));
    expect(w, "{\"ready\":false,\"draining\":false,\"workers_ready\":0,\"workers\":[{\"slot\":0,"
              "\"pid\":null,");
    expect(w, "\"state\":\"absent\"");
}

static void test_one_ready_worker_is_enough(void **state)
{
    struct world *w = *state;
    struct shm_block *b = live(w, 1, 0, 3);
    b->from_disk = true;
    b->saved_ms = NOW - 40;
    metric_set(b->metrics, METRIC_STATE_ERRORS, 3);
    metric_set(b->metrics, METRIC_CATALOG_INVALID, 4);
    metric_set(b->metrics, METRIC_CATALOG_POISONED, 2);
    metric_set(b->metrics, METRIC_TLS_EXPIRY, 1767225599);
    live(w, 0, 1, 1)->ready = false;
    assert_true(ready(w));
    expect(w, "\"workers_ready\":1,");
    expect(w, "{\"slot\":1,\"pid\":1001,\"incarnation\":3,\"ready\":true,\"accepting\":true,"
              "\"draining\":false,\"state\":\"live\",\"reason\":\"\","
              "\"epoch\":\"00000000000000ab\",\"revision\":42,\"lag_ms\":30,"
              "\"from_disk\":true,\"saved_age_ms\":40,\"save_errors\":3,\"invalid\":4,"
              "\"poisoned\":2,"
              "\"certificate_expires_at\":\"2025-12-31T23:59:59Z\","
              "\"heartbeat_age_ms\":10}");
    shm_set_draining(w->m);
    assert_false(ready(w));
    expect(w, "\"draining\":true");
}

static void test_reasons_and_never_confirmed(void **state)
{
    struct world *w = *state;
    struct shm_block *b = live(w, 0, 0, 1);
    b->feed_state = FEED_SUSPECT;
    b->feed_reason = FEED_REASON_WENT_BACK;
    b->confirmed_ms = 0;
    assert_true(ready(w)); // suspect serves what it has
    expect(w, "\"state\":\"suspect\",\"reason\":\"went_back\"");
    expect(w, "\"lag_ms\":null");
    // Every reason has its row, under the name that it has elsewhere.
    for (unsigned reason = FEED_REASON_EMPTY; reason <= FEED_REASON_UNCONFIRMED; reason++) {
        char row[100];
        b->feed_reason = reason;
        snprintf(row, sizeof(row), "\ncm_feed_reason{slot=\"0\",reason=\"%s\"} ",
                 feed_reason_name((enum feed_reason)reason));
        for (unsigned is = 0; is < 2; is++) {
            buf_clear(&w->out);
            ops_report_metrics(&w->out, w->m, NOW);
            const char *found = strstr(buf_cstr(&w->out), row);
            assert_non_null(found);
            assert_int_equal(found[strlen(row)], is == 0 ? '1' : '0');
            b->feed_reason = FEED_REASON_NONE;
        }
    }
}

static void test_a_silent_worker_is_not_ready(void **state)
{
    struct world *w = *state;
    struct shm_block *b = live(w, 0, 0, 1);
    b->heartbeat_ms = NOW - SHM_SILENT_MS + 1;
    assert_true(ready(w));
    b->heartbeat_ms = NOW - SHM_SILENT_MS;
    assert_false(ready(w));
}

static void test_metrics(void **state)
{
    struct world *w = *state;
    struct shm_block *a = live(w, 0, 0, 1), *b = live(w, 1, 1, 1);
    metric_add(a->metrics, METRIC_KEY_HITS, 5);
    metric_add(b->metrics, METRIC_KEY_HITS, 6);
    metric_set(a->metrics, METRIC_KEY_BYTES, 100);
    metric_set(b->metrics, METRIC_KEY_BYTES, 200);
    metric_add(a->metrics, metrics_request_row(METRIC_ROUTE_LIST, 200), 9);
    ops_report_metrics(&w->out, w->m, NOW);
    expect(w, "# TYPE cm_build_info gauge\ncm_build_info{version=\"" CM_VERSION "\"} 1\n");
    expect(w, "\ncm_workers 2\n");
    expect(w, "\ncm_workers_ready 2\n");
    expect(w, "\ncm_key_cache_hits_total 11\n");
    expect(w, "\ncm_key_cache_bytes{slot=\"0\"} 100\ncm_key_cache_bytes{slot=\"1\"} 200\n");
    expect(w, "\ncm_http_requests_total{route=\"list\",code=\"2xx\"} 9\n");
    expect(w, "\ncm_feed_state{slot=\"0\",state=\"live\"} 1\n");
    expect(w, "\ncm_feed_state{slot=\"0\",state=\"away\"} 0\n");
    expect(w, "\ncm_feed_revision{slot=\"1\"} 42\n");
    expect(w, "\ncm_feed_confirmed_age_milliseconds{slot=\"1\"} 30\n");
    // The ops child shows its memory and nothing else.
    shm_block_claim(shm_block(w->m, 2, 0), 1, 0);
    shm_block(w->m, 2, 0)->pid = 7;
    buf_clear(&w->out);
    ops_report_metrics(&w->out, w->m, NOW);
    expect(w, "\ncm_process_resident_bytes{slot=\"ops\"} 0\n");
    expect_not(w, "cm_feed_revision{slot=\"ops\"}");
}

// Two in one slot while it is rolled: one series each, never two.
static void test_metrics_in_a_roll(void **state)
{
    struct world *w = *state;
    struct shm_block *old = live(w, 0, 0, 4), *new = live(w, 0, 1, 5);
    metric_set(old->metrics, METRIC_KEY_BYTES, 100);
    metric_set(new->metrics, METRIC_KEY_BYTES, 200);
    new->ready = false;
    ops_report_metrics(&w->out, w->m, NOW);
    expect(w, "\ncm_key_cache_bytes{slot=\"0\"} 100\n");
    expect_not(w, "} 200\n");
    new->ready = true;
    buf_clear(&w->out);
    ops_report_metrics(&w->out, w->m, NOW);
    expect(w, "\ncm_key_cache_bytes{slot=\"0\"} 200\n");
    expect_not(w, "} 100\n");
}

int main(void)
{
#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_is_not_ready),
        TEST(test_one_ready_worker_is_enough),
        TEST(test_reasons_and_never_confirmed),
        TEST(test_a_silent_worker_is_not_ready),
        TEST(test_metrics),
        TEST(test_metrics_in_a_roll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
