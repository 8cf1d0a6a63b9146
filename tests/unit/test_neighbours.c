// SPDX-License-Identifier: Apache-2.0
#include "services/neighbours.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/log_capture.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"
#include "tests/support/tls_client.h"

// Worker 0 of 2: its own slot is the fixture's listener.
static struct {
    struct fixture fixture;
    struct shm *shm;
    int shm_fd;
    int listeners[2], tls_listeners[2];
    struct tls *tls;
    struct neighbours neighbours;
} t;

static void take_over_listener(void)
{
    // neighbours_start listens on it itself.
    server_unlisten(t.fixture.server, t.fixture.listener);
    t.listeners[0] = t.fixture.listener;
    t.listeners[1] = server_bind("127.0.0.1:0", false, 64);
    t.tls_listeners[0] = server_bind("127.0.0.1:0", false, 64);
    t.tls_listeners[1] = server_bind("127.0.0.1:0", false, 64);
    assert_true(t.listeners[1] >= 0 && t.tls_listeners[0] >= 0 && t.tls_listeners[1] >= 0);
}

static void make_tls(void)
{
    char error[TLS_ERROR_MAX];
    struct test_certificate c = make_certificate("x", TEST_KEY_EC, false, 3600);
    t.tls = tls_create();
    assert_true(tls_use(t.tls, c.certificate, c.key, error));
    free_certificate(&c);
}

static int start(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    fixture_open(&t.fixture, 0, 0);
    take_over_listener();
    t.shm = shm_create(2, &t.shm_fd);
    make_tls();
    t.neighbours = (struct neighbours){.server = t.fixture.server,
                                       .shm = t.shm,
                                       .slot = 0,
                                       .listeners = t.listeners,
                                       .tls_listeners = t.tls_listeners,
                                       .tls = t.tls};
    assert_int_equal(neighbours_start(&t.neighbours), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    neighbours_stop(&t.neighbours);
    fixture_close(&t.fixture);
    close(t.listeners[1]);
    close(t.tls_listeners[0]);
    close(t.tls_listeners[1]);
    tls_destroy(t.tls);
    shm_detach(t.shm);
    close(t.shm_fd);
    return 0;
}

static bool has_answer(void *ctx)
{
    struct raw_client *c = ctx;
    raw_poll(c);
    return c->in.len > 0;
}

// Is a connection to that slot's socket answered?
static bool answers(unsigned slot)
{
    struct raw_client c;
    raw_connect(&c, &t.fixture.loop, t.listeners[slot]);
    raw_send_str(&c, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    bool got = loop_try_until(&t.fixture.loop, has_answer, &c, 10);
    raw_close(&c);
    loop_run_for(&t.fixture.loop, 5);
    return got;
}

// Does somebody shake hands on that slot's other socket?
static bool shakes_hands(unsigned slot)
{
    struct tls_client c;
    bool ok = tls_client_open(&c, &t.fixture.loop, t.tls_listeners[slot], NULL);
    tls_client_close(&c);
    loop_run_for(&t.fixture.loop, 5);
    return ok;
}

// For slots that nobody accepts on, where a handshake would wait for ever.
static bool is_left_in_the_queue(unsigned slot)
{
    uint64_t before = server_counters(t.fixture.server)->accepted;
    struct raw_client c;
    raw_connect(&c, &t.fixture.loop, t.tls_listeners[slot]);
    loop_run_for(&t.fixture.loop, 50);
    bool left = server_counters(t.fixture.server)->accepted == before;
    raw_close(&c);
    return left;
}

static void cover(uint64_t now_ms)
{
    struct shm_block *b = shm_block(t.shm, 1, 0);
    b->pid = 1;
    b->accepting = true;
    b->heartbeat_ms = now_ms;
}

static void look(uint64_t now_ms)
{
    log_capture_start();
    neighbours_look(&t.neighbours, now_ms);
    assert_int_equal(log_capture_stop("listen_failed"), 0);
}

static void a_covered_neighbour_is_left_alone(void **state)
{
    (void)state;
    assert_true(answers(0));
    assert_true(shakes_hands(0));
    for (uint64_t now = 1000; now < 2000; now += NEIGHBOURS_LOOK_MS) {
        cover(now);
        look(now);
    }
    assert_false(answers(1));
    assert_true(is_left_in_the_queue(1));
}

static void a_vacant_one_is_helped_after_a_moment(void **state)
{
    (void)state;
    cover(1000);
    look(1000);
    uint64_t vacant = 1000 + SHM_STALL_MS;
    look(vacant);
    look(vacant + NEIGHBOURS_PATIENCE_MS);
    assert_false(answers(1));
    look(vacant + NEIGHBOURS_PATIENCE_MS + 1);
    assert_true(answers(1)); // also whoever was in the queue by then
    assert_true(shakes_hands(1));
    assert_true(answers(0));
    cover(vacant + 200);
    look(vacant + 200);
    assert_false(answers(1));
    assert_true(is_left_in_the_queue(1));
    assert_true(answers(0));
}

static void being_covered_starts_the_wait_anew(void **state)
{
    (void)state;
    look(1000);
    look(1090);
    cover(1095);
    look(1095);
    shm_block(t.shm, 1, 0)->accepting = false;
    look(1190);
    look(1290);
    assert_false(answers(1));
    look(1291);
    assert_true(answers(1));
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_covered_neighbour_is_left_alone),
        CASE(a_vacant_one_is_helped_after_a_moment),
        CASE(being_covered_starts_the_wait_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
