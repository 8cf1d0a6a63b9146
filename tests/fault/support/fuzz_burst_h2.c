// SPDX-License-Identifier: Apache-2.0
// Frames of HTTP/2, most of them as they should be.
#include "fuzz_burst.h"

#include <string.h>

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, WITH_PRIORITY = 32 };

static uint32_t newest; // stream that was opened

static size_t open_frame(uint32_t type, uint32_t flags, uint32_t stream)
{
    size_t at = burst_used;
    put_byte(0), put_byte(0), put_byte(0);
    put_byte(type);
    put_byte(once_in(40) ? draw(256) : flags);
    put_u32(stream);
    return at;
}

static void close_frame(size_t at)
{
    if (at + 9 > burst_used)
        return;
    size_t len = burst_used - at - 9;
    if (once_in(60))
        len = once_in(2) ? telling_number() & 0xffffff : len + draw(3) - 1;
    burst[at] = (uint8_t)(len >> 16);
    burst[at + 1] = (uint8_t)(len >> 8);
    burst[at + 2] = (uint8_t)len;
}

static uint32_t some_stream(void)
{
    if (once_in(20))
        return telling_number();
    if (once_in(12))
        return 0;
    uint32_t back = 2 * draw(12);
    return newest > back ? newest - back : newest;
}

static void put_integer(uint32_t prefix_bits, uint32_t first, uint32_t value)
{
    uint32_t most = (1U << prefix_bits) - 1;
    if (value < most) {
        put_byte(first | value);
        return;
    }
    put_byte(first | most);
    for (value -= most; value >= 128; value >>= 7)
        put_byte((value & 127) | 128);
    put_byte(value);
}

static void put_string(const char *text, size_t len)
{
    uint32_t huffman = once_in(30) ? 0x80 : 0;
    put_integer(7, huffman, once_in(60) ? telling_number() : (uint32_t)len);
    put(text, len);
}

static void put_field(void)
{
    static const char *const names[] = {"x",
                                        "cookie",
                                        "content-length",
                                        "te",
                                        "cache-digest",
                                        "host",
                                        "accept-encoding",
                                        ":path",
                                        ":status",
                                        "Upper",
                                        "transfer-encoding",
                                        "x-api-key",
                                        "if-none-match",
                                        "expect",
                                        "",
                                        "connection",
                                        "origin",
                                        "content-type"};
    static const char *const values[] = {
        "",   "0",        "5",     "trailers", "gzip, br;q=0", "chunked", "100-continue",
        "\n", "a\0b\r\n", "+/==A", "*",        "W/\"x\", *",   "a=b; c=d"};
    const char *name = names[draw(sizeof(names) / sizeof(*names))];
    const char *value = values[draw(sizeof(values) / sizeof(*values))];
    switch (draw(8)) {
    case 0:
        put_integer(7, 0x80, draw(90));
        break;
    case 1:
        put_integer(5, 0x20, once_in(3) ? telling_number() : draw(4097));
        break;
    case 2:
        put_integer(6, 0x40, draw(80));
        put_string(value, strlen(value));
        break;
    case 3:
        put_noise(draw(6));
        break;
    case 4: // grows when it is decoded again and again
        put_byte(0x40);
        put_string("cache-digest", 12);
        put_integer(7, 0, 300);
        put_fill('_', 300);
        break;
    default:
        put_byte(once_in(2) ? 0x40 : once_in(2) ? 0x10 : 0);
        put_string(name, strlen(name));
        put_string(value, strlen(value));
    }
}

static void put_block(void)
{
    static const char *const methods[] = {"HEAD", "OPTIONS", "CONNECT", "PUT", "G T", ""};
    if (once_in(12))
        put_field();
    if (once_in(10)) {
        put_integer(4, 0, 2);
        const char *method = methods[draw(6)];
        put_string(method, strlen(method));
    } else {
        put_byte(once_in(10) ? 0x83 : 0x82);
    }
    if (!once_in(60))
        put_byte(once_in(10) ? 0x87 : 0x86);
    if (!once_in(60)) {
        put_integer(4, 0, 4);
        const char *target = once_in(8)   ? "/"
                             : once_in(8) ? "*"
                             : once_in(3) ? "/v1/models/a%2Fb%zz%00"
                                          : burst_target.path;
        put_string(target, strlen(target));
    }
    if (!once_in(4)) {
        put_integer(4, 0x10, 23);
        put_string(burst_target.authorization, strlen(burst_target.authorization));
    }
    for (uint32_t n = once_in(20) ? draw(140) : draw(4); n > 0; n--)
        put_field();
}

static void put_priority(void)
{
    uint32_t parent = once_in(3) ? 0 : some_stream();
    put_u32(parent | (once_in(2) ? 0x80000000 : 0));
    put_byte(draw(256));
}

static void put_headers(void)
{
    uint32_t stream = once_in(12) ? some_stream() : (newest += 2);
    uint32_t flags = (once_in(4) ? 0U : END_STREAM) | (once_in(12) ? 0U : END_HEADERS) |
                     (once_in(5) ? WITH_PRIORITY : 0U) | (once_in(15) ? PADDED : 0U);
    size_t at = open_frame(HEADERS, flags, stream);
    uint32_t padding = draw(4);
    if ((flags & PADDED) != 0)
        put_byte(once_in(5) ? draw(256) : padding);
    if ((flags & WITH_PRIORITY) != 0)
        put_priority();
    put_block();
    if ((flags & PADDED) != 0)
        put_noise(padding);
    close_frame(at);
    for (bool ended = (flags & END_HEADERS) != 0; !ended && !once_in(5);) {
        ended = once_in(2);
        at = open_frame(once_in(20) ? draw(12) : CONTINUATION, ended ? END_HEADERS : 0,
                        once_in(20) ? some_stream() : stream);
        for (uint32_t n = draw(4); n > 0; n--)
            put_field();
        close_frame(at);
    }
}

static void put_data(void)
{
    uint32_t flags = (once_in(3) ? END_STREAM : 0U) | (once_in(8) ? PADDED : 0U);
    size_t at = open_frame(DATA, flags, some_stream());
    if ((flags & PADDED) != 0)
        put_byte(draw(256));
    put_fill('d', once_in(6) ? draw(16385) : draw(300));
    close_frame(at);
}

static void put_settings(void)
{
    size_t at = open_frame(SETTINGS, once_in(8) ? ACK : 0, once_in(40) ? 1 : 0);
    for (uint32_t n = draw(4); n > 0; n--) {
        put_byte(0), put_byte(once_in(10) ? draw(256) : once_in(2) ? 4 : 1 + draw(6));
        put_u32(once_in(2)   ? burst_target.length
                : once_in(2) ? telling_number()
                             : 60000 + draw(200000));
    }
    close_frame(at);
}

static void put_short(uint32_t type, uint32_t stream, uint32_t value)
{
    size_t at = open_frame(type, 0, stream);
    put_u32(value);
    close_frame(at);
}

static void put_other(void)
{
    size_t at;
    switch (draw(6)) {
    case 0:
        at = open_frame(PRIORITY, 0, once_in(3) ? newest + 2 * draw(20) : some_stream());
        put_priority();
        break;
    case 1:
        at = open_frame(PING, draw(2), 0);
        put_noise(8);
        break;
    case 2:
        at = open_frame(GOAWAY, 0, 0);
        put_u32(telling_number());
        put_u32(draw(14));
        put_noise(draw(10));
        break;
    case 3:
        at = open_frame(PUSH_PROMISE, END_HEADERS, some_stream());
        put_u32(2 * draw(10));
        put_block();
        break;
    case 4:
        at = open_frame(CONTINUATION, END_HEADERS, some_stream());
        put_field();
        break;
    default:
        at = open_frame(10 + draw(246), draw(256), some_stream());
        put_noise(draw(40));
    }
    close_frame(at);
}

// A frame's head with nothing wrong about it.
static void put_head(uint32_t len, uint32_t type, uint32_t flags, uint32_t stream)
{
    put_byte(len >> 16), put_byte(len >> 8), put_byte(len);
    put_byte(type);
    put_byte(flags);
    put_u32(stream);
}

// What attacks_h2.mjs calls the assertion burst: windows of just the body's size, and a
// WINDOW_UPDATE for each stream in the server's next read. Chance alone comes upon it once in
// tens of thousands of bursts; with it in between, its neighbourhood is tried too.
static void make_assertion_burst(void)
{
    enum { STREAMS = 40, FIRST_READ = 8192, PING_FRAME = 17 };
    uint32_t path_len = (uint32_t)strlen(burst_target.path),
             value_len = (uint32_t)strlen(burst_target.authorization);
    put_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_head(6, SETTINGS, 0, 0);
    put_byte(0), put_byte(4);
    put_u32(burst_target.length);
    for (uint32_t i = 0; i < STREAMS; i++) {
        size_t at = burst_used;
        put_head(0, HEADERS, END_STREAM | END_HEADERS, 2 * i + 1);
        put_byte(0x82), put_byte(0x86);
        put_integer(4, 0, 4), put_integer(7, 0, path_len), put_text(burst_target.path);
        put_integer(4, 0x10, 23), put_integer(7, 0, value_len),
            put_text(burst_target.authorization);
        burst[at + 1] = (uint8_t)((burst_used - at - 9) >> 8);
        burst[at + 2] = (uint8_t)(burst_used - at - 9);
    }
    while (burst_used + PING_FRAME < FIRST_READ) {
        put_head(8, PING, ACK, 0);
        put_text("fillfill");
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        put_head(4, WINDOW_UPDATE, 0, 2 * i + 1);
        put_u32(1);
    }
}

void burst_make_h2(void)
{
    if (once_in(50)) {
        make_assertion_burst();
        return;
    }
    newest = UINT32_MAX; // the first is 1
    put_text(once_in(100) ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r" : "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    if (!once_in(20))
        put_settings();
    for (uint32_t n = 1 + draw(once_in(10) ? 120 : 24); n > 0; n--) {
        uint32_t kind = draw(20);
        if (kind < 8)
            put_headers();
        else if (kind < 11)
            put_data();
        else if (kind < 14)
            put_short(WINDOW_UPDATE, some_stream(),
                      once_in(4) ? telling_number() : 1 + draw(100000));
        else if (kind < 16)
            put_settings();
        else if (kind < 17)
            put_short(RST_STREAM, some_stream(), draw(14));
        else
            put_other();
    }
}
