// SPDX-License-Identifier: Apache-2.0
// Listening, limits, draining and cutting.
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"

static const char get_hello[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
static const char get_defer[] = "GET /defer HTTP/1.1\r\nHost: x\r\n\r\n";

static struct fixture *open_fixture(uint32_t max_connections)
{
    static struct fixture f;
    fixture_open(&f, max_connections, 0);
    return &f;
}

static void expect_hello(struct raw_client *c, const char *connection)
{
    struct raw_response r = raw_read(c, false);
    assert_slice(r.body, "hello world");
    assert_slice(raw_header(&r, "connection"), connection);
}

static void wait_drained(struct fixture *f)
{
    loop_run_until_set(&f->loop, &f->drained, 5000);
}

static void test_drain_of_nothing_is_still_later(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    fixture_drain(f); // checks that on_drained has not run yet
    wait_drained(f);
    fixture_close(f);
}

static void test_drain_finishes_what_is_in_flight(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    struct raw_client busy, reading;
    fixture_connect(f, &busy);
    fixture_connect(f, &reading);
    raw_send_str(&busy, get_defer);
    raw_send_str(&reading, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    fixture_wait_deferred(f, 1);
    loop_run_for(&f->loop, 50);
    fixture_drain(f);
    loop_run_for(&f->loop, 1500);
    assert_false(f->drained);
    fixture_answer(f);
    struct raw_response r = raw_read(&busy, false);
    assert_slice(r.body, "later");
    assert_slice(raw_header(&r, "connection"), "close");
    raw_read_end(&busy);
    assert_false(busy.reset);
    r = raw_read(&reading, false);
    assert_int_equal(r.body.len, (size_t)FIXTURE_PARTS * FIXTURE_PART);
    wait_drained(f);
    raw_close(&busy);
    raw_close(&reading);
    fixture_close(f);
}

static void test_drain_takes_who_is_in_the_queue(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    struct raw_client c[3];
    for (size_t i = 0; i < 3; i++) {
        fixture_connect(f, &c[i]); // the loop has not turned: still queued
        raw_send_str(&c[i], get_hello);
    }
    fixture_drain(f);
    close(f->listener); // the last descriptor: who is not taken now would be reset
    for (size_t i = 0; i < 3; i++) {
        expect_hello(&c[i], "close");
        raw_read_end(&c[i]);
        raw_close(&c[i]);
    }
    wait_drained(f);
    f->listener = server_bind("127.0.0.1:0", false, 1); // for fixture_close
    fixture_close(f);
}

static bool has_word(void *ctx)
{
    struct raw_client *c = ctx;
    raw_poll(c);
    return c->in.len > 0 || c->ended || c->reset;
}

static void test_drain_lets_an_idle_client_speak_once_more(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    struct raw_client speaks, silent, half;
    fixture_connect(f, &speaks);
    fixture_connect(f, &silent);
    fixture_connect(f, &half);
    raw_send_str(&speaks, get_hello);
    expect_hello(&speaks, "keep-alive");
    raw_send_str(&silent, get_hello);
    expect_hello(&silent, "keep-alive");
    raw_send(&half, slice_make(get_hello, 10)); // a request that has begun to arrive
    loop_run_for(&f->loop, 20);
    fixture_drain(f);
    uint64_t start = clock_boot_ms(), awake = loop_awake_ms();
    loop_run_for(&f->loop, 500);
    raw_send_str(&speaks, get_hello);
    loop_run_until(&f->loop, has_word, &speaks, 5000);
    if (clock_boot_ms() - start < 950) // or the machine stood still, and it was too late
        expect_hello(&speaks, "close");
    raw_read_end(&silent);
    assert_false(silent.reset);
    assert_true(clock_boot_ms() - start >= 950);
    assert_in_range(loop_awake_ms() - awake, 0, 2000);
    loop_run_for(&f->loop, 300);
    raw_poll(&half);
    assert_false(half.ended);
    raw_send_str(&half, get_hello + 10);
    expect_hello(&half, "close");
    // The silent one keeps its end open; we close all the same.
    wait_drained(f);
    raw_close(&speaks);
    raw_close(&silent);
    raw_close(&half);
    fixture_close(f);
}

static void test_cut_ends_everything(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    struct raw_client idle, stuck, unread, lingering, partial;
    fixture_connect(f, &idle);
    fixture_connect(f, &stuck);
    fixture_connect(f, &unread);
    fixture_connect(f, &lingering);
    fixture_connect(f, &partial);
    raw_send_str(&stuck, get_defer);
    raw_send_str(&unread, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_send_str(&lingering, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n");
    raw_send_str(&partial, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n");
    fixture_wait_deferred(f, 1);
    assert_int_equal(raw_read(&lingering, false).status, 413);
    fixture_drain(f);
    loop_run_for(&f->loop, 50);
    assert_false(f->drained);
    server_cut(f->server);
    wait_drained(f);
    assert_int_equal(f->unanswered, 1);
    assert_false(fixture_answer(f)); // its owner finds it gone
    raw_close(&idle);
    raw_close(&stuck);
    raw_close(&unread);
    raw_close(&lingering);
    raw_close(&partial);
    fixture_close(f);
}

static bool all_closed(void *ctx)
{
    return server_counters(((struct fixture *)ctx)->server)->open == 0;
}

static bool watches_are_out;
static unsigned unwatched;

// In place of the C library's. Before libuv polls a descriptor it asks whether it may,
// and only then there is no descriptor in the event.
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (watches_are_out && op == EPOLL_CTL_ADD && event->data.fd == -1) {
        unwatched++;
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static void test_the_end_of_what_cannot_be_watched(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    struct raw_client c;
    fixture_connect(f, &c);
    raw_send_str(&c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n");
    watches_are_out = true;
    assert_int_equal(raw_read(&c, false).status, 413);
    raw_read_end(&c);
    loop_run_until(&f->loop, all_closed, f, 5000);
    watches_are_out = false;
    assert_int_equal(unwatched, 1);
    raw_close(&c);
    fixture_close(f);
}

static void test_max_connections(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(2);
    struct raw_client a, b, extra;
    fixture_connect(f, &a);
    fixture_connect(f, &b);
    raw_send_str(&a, get_hello);
    raw_send_str(&b, get_hello);
    expect_hello(&a, "keep-alive");
    expect_hello(&b, "keep-alive");
    fixture_connect(f, &extra);
    raw_read_end(&extra);
    raw_close(&extra);
    assert_int_equal(server_counters(f->server)->rejected, 1);
    assert_int_equal(server_counters(f->server)->accepted, 2);
    assert_int_equal(server_counters(f->server)->open, 2);
    raw_close(&a);
    raw_close(&b);
    loop_run_until(&f->loop, all_closed, f, 1000);
    fixture_connect(f, &extra);
    raw_send_str(&extra, get_hello);
    expect_hello(&extra, "keep-alive");
    raw_close(&extra);
    fixture_close(f);
}

static void test_unlisten_and_listen_again(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    struct raw_client c;
    server_unlisten(f->server, f->listener);
    server_unlisten(f->server, f->listener); // no-op
    fixture_connect(f, &c);                  // the kernel queues it: the socket is still open
    raw_send_str(&c, get_hello);
    loop_run_for(&f->loop, 50);
    assert_int_equal(server_counters(f->server)->accepted, 0);
    assert_int_equal(server_listen(f->server, f->listener, NULL), 0);
    expect_hello(&c, "keep-alive");
    raw_close(&c);
    fixture_close(f);
}

static void test_bind_group_is_exclusive(void **state)
{
    (void)state;
    struct fixture *f = open_fixture(0);
    int fds[3], again[3];
    char address[BIND_ADDRESS_MAX], other[BIND_ADDRESS_MAX];
    assert_int_equal(server_bind_group("127.0.0.1:0", fds, 3, 64), 0);
    server_bound_address(fds[0], address);
    for (size_t i = 1; i < 3; i++) {
        server_bound_address(fds[i], other);
        assert_string_equal(address, other);
    }
    assert_int_equal(server_bind_group(address, again, 3, 64), -EADDRINUSE);
    assert_int_equal(server_bind(address, false, 64), -EADDRINUSE);
    // All three are served, wherever the kernel puts a connection.
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(server_listen(f->server, fds[i], NULL), 0);
    for (int i = 0; i < 20; i++) {
        struct raw_client c;
        raw_connect(&c, &f->loop, fds[0]);
        raw_send_str(&c, get_hello);
        expect_hello(&c, "keep-alive");
        raw_close(&c);
    }
    for (size_t i = 0; i < 3; i++) {
        server_unlisten(f->server, fds[i]);
        close(fds[i]);
    }
    assert_int_equal(server_bind_group(address, again, 1, 64), 0);
    close(again[0]);
    fixture_close(f);
}

static void test_bind_errors(void **state)
{
    (void)state;
    assert_int_equal(server_bind("127.0.0.1", false, 1), -EINVAL);
    assert_int_equal(server_bind(":80", false, 1), -EINVAL);
    assert_int_equal(server_bind("203.0.113.7:0", false, 1), -EADDRNOTAVAIL);
    assert_true(server_bind("no such host:0", false, 1) < 0);
    int fd = server_bind("[::1]:0", false, 1);
    if (fd >= 0) { // machines without IPv6 exist
        char address[BIND_ADDRESS_MAX];
        server_bound_address(fd, address);
        assert_int_equal(strncmp(address, "[::1]:", 6), 0);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_of_nothing_is_still_later),
        cmocka_unit_test(test_drain_finishes_what_is_in_flight),
        cmocka_unit_test(test_drain_takes_who_is_in_the_queue),
        cmocka_unit_test(test_drain_lets_an_idle_client_speak_once_more),
        cmocka_unit_test(test_cut_ends_everything),
        cmocka_unit_test(test_the_end_of_what_cannot_be_watched),
        cmocka_unit_test(test_max_connections),
        cmocka_unit_test(test_unlisten_and_listen_again),
        cmocka_unit_test(test_bind_group_is_exclusive),
        cmocka_unit_test(test_bind_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
