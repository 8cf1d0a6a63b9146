// SPDX-License-Identifier: Apache-2.0
// Bytes over a socket that never blocks; the reader takes one response at a
// time and keeps the rest, so pipelined answers can be told apart.
#include "tests/support/raw_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

enum { WAIT_MS = 5000 };

void raw_connect(struct raw_client *c, uv_loop_t *loop, int listener)
{
    struct sockaddr_in where;
    socklen_t len = sizeof(where);
    memset(c, 0, sizeof(*c));
    c->loop = loop;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&where, &len), 0);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&where, len), 0);
    const int at_once = 1;
    assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)), 0);
}

void raw_close(struct raw_client *c)
{
    close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
}

void raw_poll(struct raw_client *c)
{
    char bytes[65536];
    while (!c->ended && !c->reset) {
        ssize_t got = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got > 0)
            buf_append(&c->in, bytes, (size_t)got);
        else if (got == 0)
            c->ended = true;
        else if (errno == EAGAIN)
            return;
        else
            c->reset = true;
    }
}

void raw_send(struct raw_client *c, struct slice bytes)
{
    if (c->held) {
        buf_append(&c->out, bytes.ptr, bytes.len);
        return;
    }
    while (bytes.len > 0) {
        ssize_t sent = send(c->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return; // the server has cut us off: what it said is judged by the reader
        if (sent > 0)
            bytes = slice_skip(bytes, (size_t)sent);
        else
            loop_run_for(c->loop, 1);
        raw_poll(c);
    }
}

void raw_hold(struct raw_client *c)
{
    c->held = true;
}

void raw_release(struct raw_client *c)
{
    c->held = false;
    raw_send(c, buf_slice(&c->out));
    buf_fini(&c->out);
}

void raw_send_str(struct raw_client *c, const char *text)
{
    raw_send(c, slice_of(text));
}

static size_t head_length(const struct buf *in)
{
    const char *end = in->len == 0 ? NULL : memmem(in->ptr, in->len, "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - in->ptr) + 4;
}

struct slice raw_header(const struct raw_response *r, const char *name)
{
    struct slice rest = r->head, want = slice_of(name);
    while (rest.len > 0) {
        struct slice line = slice_take(&rest, '\n');
        struct slice value = line;
        struct slice got = slice_take(&value, ':');
        if (slice_equal_nocase(got, want))
            return slice_trim(value);
    }
    return SLICE_NONE;
}

// The length of a whole response at the front of what was received, 0 = not yet.
static size_t whole(const struct buf *in, bool no_body, struct raw_response *out)
{
    size_t head = head_length(in);
    if (head == 0)
        return 0;
    uint64_t body = 0, status = 0;
    out->head = slice_make(in->ptr, head);
    assert_true(slice_starts_with(out->head, SLICE_LIT("HTTP/1.1 ")));
    assert_true(slice_parse_u64(slice_make(in->ptr + 9, 3), 999, &status));
    out->status = (int)status;
    struct slice length = raw_header(out, "content-length");
    if (!no_body && length.ptr != NULL)
        assert_true(slice_parse_u64(length, SIZE_MAX, &body));
    if (in->len < head + body)
        return 0;
    out->body = slice_make(in->ptr + head, body);
    return head + body;
}

struct reading {
    struct raw_client *client;
    bool no_body;
};

static bool response_is_whole(void *ctx)
{
    struct reading *r = ctx;
    struct raw_response response;
    raw_poll(r->client);
    return whole(&r->client->in, r->no_body, &response) > 0 || r->client->ended || r->client->reset;
}

struct raw_response raw_read(struct raw_client *c, bool no_body)
{
    static struct buf taken;
    struct reading reading = {c, no_body};
    struct raw_response response;
    loop_run_until(c->loop, response_is_whole, &reading, WAIT_MS);
    size_t len = whole(&c->in, no_body, &response);
    if (len == 0)
        fail_msg("%s before a whole response: '%.*s'", c->reset ? "reset" : "end",
                 SLICE_FMT(buf_slice(&c->in)));
    // What was taken stays readable until the next response is.
    buf_fini(&taken);
    buf_append(&taken, c->in.ptr, len);
    memmove(c->in.ptr, c->in.ptr + len, c->in.len - len);
    c->in.len -= len;
    (void)whole(&taken, no_body, &response);
    return response;
}

static bool is_over(void *ctx)
{
    struct raw_client *c = ctx;
    raw_poll(c);
    return c->ended || c->reset;
}

void raw_read_end(struct raw_client *c)
{
    loop_run_until(c->loop, is_over, c, WAIT_MS);
}
