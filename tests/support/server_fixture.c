// SPDX-License-Identifier: Apache-2.0
// The handler that server tests talk to.
#include "tests/support/server_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/test.h"

char fixture_big_byte(size_t i)
{
    return (char)('a' + (i / FIXTURE_PART + i) % 26);
}

static void on_unpin(void *pin)
{
    struct fixture *f = pin;
    f->unpinned++;
}

static const struct reply_constant plain_text = REPLY_CONSTANT("content-type", "text/plain");

static void send_parts(struct fixture *f, struct call *c, int status, const struct slice *parts,
                       size_t count)
{
    struct reply r = {
        .status = status, .parts = parts, .part_count = count, .unpin = on_unpin, .pin = f};
    for (size_t i = 0; i < count; i++)
        r.length += parts[i].len;
    reply_add_constant(&r, &plain_text);
    f->pinned++;
    reply_send(c, &r);
}

static void send_big(struct fixture *f, struct call *c)
{
    struct slice *parts = call_alloc(c, FIXTURE_PARTS * sizeof(*parts));
    char *bytes = call_alloc(c, (size_t)FIXTURE_PARTS * FIXTURE_PART);
    for (size_t i = 0; i < (size_t)FIXTURE_PARTS * FIXTURE_PART; i++)
        bytes[i] = fixture_big_byte(i);
    for (size_t i = 0; i < FIXTURE_PARTS; i++)
        parts[i] = slice_make(bytes + i * FIXTURE_PART, FIXTURE_PART);
    send_parts(f, c, 200, parts, FIXTURE_PARTS);
}

static void send_header(struct call *c)
{
    struct reply r = {.status = 200};
    reply_add_header(&r, SLICE_LIT("x-test"), call_header(c, SLICE_LIT("x-test")));
    reply_send(c, &r);
}

// The query says which.
static void send_constant(struct call *c)
{
    static char values[FIXTURE_CONSTANTS][4];
    static struct reply_constant constants[FIXTURE_CONSTANTS];
    uint64_t i;
    if (!slice_parse_u64(call_query(c), FIXTURE_CONSTANTS - 1, &i))
        i = 0;
    int len = snprintf(values[i], sizeof(values[i]), "%02u", (unsigned)i);
    constants[i] =
        (struct reply_constant){SLICE_LIT("x-constant"), slice_make(values[i], (size_t)len)};
    struct reply r = {.status = 200};
    reply_add_constant(&r, &constants[i]);
    reply_send(c, &r);
}

static void send_raw(struct call *c)
{
    struct buf text = {0};
    struct slice query = call_query(c), header = call_header(c, SLICE_LIT("x-test"));
    buf_printf(&text, "%.*s|%.*s|", SLICE_FMT(call_method(c)), SLICE_FMT(call_path(c)));
    buf_printf(&text, "%.*s|", query.ptr == NULL ? 1 : (int)query.len,
               query.ptr == NULL ? "-" : query.ptr);
    buf_printf(&text, "%.*s", header.ptr == NULL ? 1 : (int)header.len,
               header.ptr == NULL ? "-" : header.ptr);
    reply_send_copy(c, 200, SLICE_LIT("text/plain"), buf_slice(&text));
    buf_fini(&text);
}

static void send_count(struct call *c)
{
    unsigned *count = call_connection_memory(c);
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", ++*count);
    reply_send_copy(c, 200, SLICE_LIT("text/plain"), slice_make(text, (size_t)len));
}

static void handle(void *ctx, struct call *c)
{
    struct fixture *f = ctx;
    struct slice path = call_path(c);
    static const struct slice hello[] = {{"hello ", 6}, {"", 0}, {"world", 5}};
    f->handled++;
    if (slice_equal(path, SLICE_LIT("/hello")))
        send_parts(f, c, 200, hello, 3);
    else if (slice_equal(path, SLICE_LIT("/304")))
        send_parts(f, c, 304, hello, 3);
    else if (slice_equal(path, SLICE_LIT("/204")))
        send_parts(f, c, 204, NULL, 0);
    else if (slice_equal(path, SLICE_LIT("/big")))
        send_big(f, c);
    else if (slice_equal(path, SLICE_LIT("/echo")))
        reply_send_copy(c, 200, SLICE_LIT("text/plain"), call_body(c));
    else if (slice_equal(path, SLICE_LIT("/count")))
        send_count(c);
    else if (slice_equal(path, SLICE_LIT("/defer")))
        f->deferred[f->deferred_count++] = call_defer(c);
    else if (slice_equal(path, SLICE_LIT("/header")))
        send_header(c);
    else if (slice_equal(path, SLICE_LIT("/constant")))
        send_constant(c);
    else if (slice_starts_with(path, SLICE_LIT("/raw")))
        send_raw(c);
    else
        reply_send_copy(c, 404, SLICE_LIT("application/json"), SLICE_LIT("{\"error\":404}"));
}

static void refuse(void *ctx, struct call *c, struct reply *r)
{
    struct fixture *f = ctx;
    struct slice *part = call_alloc(c, sizeof(*part));
    char *text = call_alloc(c, 64);
    int len = snprintf(text, 64, "{\"refused\":%d,\"path\":\"%.*s\"}", r->status,
                       SLICE_FMT(call_path(c)));
    *part = slice_make(text, (size_t)len);
    r->parts = part;
    r->part_count = 1;
    r->length = part->len;
    r->unpin = on_unpin;
    r->pin = f;
    f->pinned++;
    f->refused++;
    reply_add_header(r, SLICE_LIT("content-type"), SLICE_LIT("application/json"));
}

static void on_access(void *ctx, const struct server_access *access)
{
    struct fixture *f = ctx;
    f->accesses++;
    f->unanswered += access->status == 0;
    f->last_access = *access;
}

static uint32_t or_else(uint32_t value, uint32_t fallback)
{
    return value > 0 ? value : fallback;
}

void fixture_open_limited(struct fixture *f, const struct fixture_limits *limits)
{
    memset(f, 0, sizeof(*f));
    loop_open(&f->loop);
    struct server_options options = {.max_connections = or_else(limits->max_connections, 100),
                                     .idle_timeout_ms = or_else(limits->idle_ms, 10000),
                                     .head_timeout_ms = or_else(limits->head_ms, 10000),
                                     .write_timeout_ms = or_else(limits->write_ms, 10000),
                                     .max_body = FIXTURE_MAX_BODY,
                                     .http2 = !limits->no_http2,
                                     .connection_memory = sizeof(unsigned),
                                     .handler = handle,
                                     .refuse = refuse,
                                     .on_access = on_access,
                                     .time_calls = true,
                                     .ctx = f};
    f->server = server_create(&f->loop, &options);
    f->listener = server_bind("127.0.0.1:0", false, 64);
    assert_true(f->listener >= 0);
    assert_int_equal(server_listen(f->server, f->listener, NULL), 0);
}

void fixture_open(struct fixture *f, uint32_t max_connections, uint32_t idle_ms)
{
    fixture_open_limited(
        f, &(struct fixture_limits){.max_connections = max_connections, .idle_ms = idle_ms});
}

static void on_drained(void *ctx)
{
    struct fixture *f = ctx;
    assert_false(f->drained);
    f->drained = true;
}

void fixture_drain(struct fixture *f)
{
    server_drain(f->server, on_drained, f);
    assert_false(f->drained);
}

static bool nothing_open(void *ctx)
{
    const struct fixture *f = ctx;
    return server_counters(f->server)->open == 0;
}

void fixture_close(struct fixture *f)
{
    while (f->deferred_count > 0)
        fixture_answer(f);
    loop_run_until(&f->loop, nothing_open, f, 5000);
    if (!f->drained) {
        fixture_drain(f);
        loop_run_until_set(&f->loop, &f->drained, 5000);
    }
    assert_int_equal(server_counters(f->server)->in_flight, 0);
    assert_int_equal(f->pinned, f->unpinned);
    assert_int_equal(f->accesses, server_counters(f->server)->requests);
    assert_int_equal(f->handled + f->refused, server_counters(f->server)->requests);
    server_destroy(f->server);
    close(f->listener);
    loop_close(&f->loop);
}

void fixture_connect(struct fixture *f, struct raw_client *c)
{
    raw_connect(c, &f->loop, f->listener);
}

struct deferred_wait {
    const struct fixture *fixture;
    size_t count;
};

static bool enough_deferred(void *ctx)
{
    const struct deferred_wait *w = ctx;
    return w->fixture->deferred_count >= w->count;
}

void fixture_wait_deferred(struct fixture *f, size_t count)
{
    struct deferred_wait w = {f, count};
    loop_run_until(&f->loop, enough_deferred, &w, 5000);
}

bool fixture_answer(struct fixture *f)
{
    assert_true(f->deferred_count > 0);
    struct deferred *d = f->deferred[0];
    memmove(f->deferred, f->deferred + 1, --f->deferred_count * sizeof(d));
    struct call *c = deferred_call(d);
    static const struct slice later = {"later", 5};
    if (c != NULL)
        send_parts(f, c, 200, &later, 1);
    deferred_release(d);
    return c != NULL;
}
