// SPDX-License-Identifier: Apache-2.0
// The status is read from the first byte of a header block: libh2o writes it first,
// as an index into the static table or as a literal of three digits.
#include "tests/support/h2_client.h"

#include <string.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

enum { WAIT_MS = 5000, FRAME_HEAD = 9 };

static void put_u32(char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(value >> (24 - 8 * i));
}

uint32_t h2_u32(struct slice bytes, size_t at)
{
    uint32_t value = 0;
    assert_true(bytes.len >= at + 4);
    for (size_t i = 0; i < 4; i++)
        value = value << 8 | (unsigned char)bytes.ptr[at + i];
    return value;
}

void h2_send(struct raw_client *c, int type, int flags, unsigned stream, struct slice payload)
{
    char head[FRAME_HEAD];
    struct buf out = {0};
    put_u32(head, (uint32_t)payload.len << 8);
    head[3] = (char)type;
    head[4] = (char)flags;
    put_u32(head + 5, stream);
    buf_append(&out, head, sizeof(head));
    buf_append(&out, payload.ptr, payload.len);
    raw_send(c, buf_slice(&out));
    buf_fini(&out);
}

void h2_send_u32(struct raw_client *c, int type, int flags, unsigned stream, uint32_t value)
{
    char payload[4];
    put_u32(payload, value);
    h2_send(c, type, flags, stream, slice_make(payload, sizeof(payload)));
}

void h2_send_setting(struct raw_client *c, int id, uint32_t value)
{
    char payload[6] = {(char)(id >> 8), (char)id};
    put_u32(payload + 2, value);
    h2_send(c, H2_SETTINGS, 0, 0, slice_make(payload, sizeof(payload)));
}

void h2_open(struct raw_client *c, long initial_window)
{
    raw_send_str(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    if (initial_window < 0)
        h2_send(c, H2_SETTINGS, 0, 0, SLICE_NONE);
    else
        h2_send_setting(c, H2_INITIAL_WINDOW, (uint32_t)initial_window);
}

static void put_string(struct buf *block, const char *text)
{
    size_t len = strlen(text);
    char head[4] = {127};
    size_t used = 0;
    if (len < 127) {
        head[used++] = (char)len;
    } else {
        size_t rest = len - 127;
        for (used = 1; rest >= 128; rest >>= 7)
            head[used++] = (char)((rest & 127) | 128);
        head[used++] = (char)rest;
    }
    buf_append(block, head, used);
    buf_append(block, text, len);
}

void h2_put_field(struct buf *block, const char *name, const char *value)
{
    buf_append(block, "\x10", 1);
    put_string(block, name);
    put_string(block, value);
}

void h2_request(struct raw_client *c, unsigned stream, const char *method, const char *path,
                int flags, struct slice extra)
{
    struct buf block = {0};
    h2_put_field(&block, ":method", method);
    h2_put_field(&block, ":scheme", "http");
    h2_put_field(&block, ":path", path);
    h2_put_field(&block, ":authority", "x");
    buf_append(&block, extra.ptr, extra.len);
    h2_send(c, H2_HEADERS, flags, stream, buf_slice(&block));
    buf_fini(&block);
}

static size_t frame_length(const struct buf *in)
{
    if (in->len < FRAME_HEAD)
        return 0;
    size_t len = FRAME_HEAD + (h2_u32(buf_slice(in), 0) >> 8);
    return in->len >= len ? len : 0;
}

static bool frame_is_whole(void *ctx)
{
    struct raw_client *c = ctx;
    raw_poll(c);
    return frame_length(&c->in) > 0 || c->ended || c->reset;
}

static bool try_read(struct raw_client *c, struct h2_frame *f)
{
    static struct buf taken;
    loop_run_until(c->loop, frame_is_whole, c, WAIT_MS);
    size_t len = frame_length(&c->in);
    if (len == 0)
        return false;
    buf_fini(&taken);
    buf_append(&taken, c->in.ptr, len);
    memmove(c->in.ptr, c->in.ptr + len, c->in.len - len);
    c->in.len -= len;
    struct slice bytes = buf_slice(&taken);
    *f = (struct h2_frame){.type = (unsigned char)bytes.ptr[3],
                           .flags = (unsigned char)bytes.ptr[4],
                           .stream = h2_u32(bytes, 5) & INT32_MAX,
                           .payload = slice_skip(bytes, FRAME_HEAD)};
    return true;
}

struct h2_frame h2_read(struct raw_client *c)
{
    struct h2_frame f;
    if (!try_read(c, &f))
        fail_msg("the connection is over (%s)", c->reset ? "reset" : "closed");
    return f;
}

struct h2_frame h2_read_type(struct raw_client *c, int type, unsigned stream)
{
    struct h2_frame f;
    do
        f = h2_read(c);
    while (f.type != type || f.stream != stream);
    return f;
}

static int status_of(struct slice block)
{
    static const int indexed[] = {200, 204, 206, 304, 400, 404, 500};
    unsigned char first = (unsigned char)block.ptr[0];
    if (first >= 0x88 && first <= 0x8E)
        return indexed[first - 0x88];
    assert_true(block.len > 4 && first == 8 && block.ptr[1] == 3);
    return (block.ptr[2] - '0') * 100 + (block.ptr[3] - '0') * 10 + (block.ptr[4] - '0');
}

struct h2_response h2_response(struct raw_client *c, unsigned stream)
{
    static struct buf body;
    struct h2_response r = {.reset = -1};
    bool ended = false;
    body.len = 0;
    while (!ended) {
        struct h2_frame f = h2_read(c);
        if (f.stream != stream)
            continue;
        ended = (f.flags & H2_END_STREAM) != 0 && (f.type == H2_DATA || f.type == H2_HEADERS);
        if (f.type == H2_HEADERS) {
            r.status = status_of(f.payload);
        } else if (f.type == H2_DATA) {
            buf_append(&body, f.payload.ptr, f.payload.len);
        } else if (f.type == H2_RST_STREAM) {
            r.reset = (int)h2_u32(f.payload, 0);
            ended = true;
        }
    }
    r.body = buf_slice(&body);
    return r;
}
