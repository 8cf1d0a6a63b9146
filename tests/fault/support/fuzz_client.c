// SPDX-License-Identifier: Apache-2.0
// A client that says almost the right thing, again and again: connections with bursts
// of HTTP/2 frames or of HTTP/1 requests, made by the rules and then spoiled in places.
//
//   fuzz_client h1|h2 <port> <bursts> <seed> <authorization value> <path> <its length>
//
// Each burst is a function of seed and its number alone, so a finding can be repeated:
// "fuzz_client h2 <port> 1 <seed> ... <number>" sends that one again. It ends with 1 when
// the server does not take a connection for two seconds.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BURST_MAX = 64 * 1024, DEPTH = 16, PATIENCE_MS = 2000 };

static uint64_t random_state;
static const char *authorization, *path;
static uint32_t length; // of the answer's body: windows of just that size are the worst
static uint8_t burst[BURST_MAX];
static size_t used;

// -- chance -----------------------------------------------------------------

static uint32_t draw(uint32_t n) // xorshift64*
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 0x2545F4914F6CDD1DULL >> 33) % n;
}

static bool once_in(uint32_t n)
{
    return draw(n) == 0;
}

// SplitMix64's finalizer: neighbouring numbers give unlike bursts.
static void begin(uint64_t seed, uint64_t number)
{
    uint64_t n = seed + number * 0x9E3779B97F4A7C15ULL;
    n = (n ^ (n >> 30)) * 0xBF58476D1CE4E5B9ULL;
    n = (n ^ (n >> 27)) * 0x94D049BB133111EBULL;
    random_state = (n ^ (n >> 31)) | 1;
    used = 0;
}

// -- bytes ------------------------------------------------------------------

static void put(const void *bytes, size_t len)
{
    if (len > sizeof(burst) - used)
        len = sizeof(burst) - used;
    memcpy(burst + used, bytes, len);
    used += len;
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

static void put_byte(uint32_t value)
{
    uint8_t byte = (uint8_t)value;
    put(&byte, 1);
}

static void put_u32(uint32_t value)
{
    value = htonl(value);
    put(&value, sizeof(value));
}

static void put_noise(size_t len)
{
    for (size_t i = 0; i < len; i++)
        put_byte(draw(256));
}

static void put_fill(char c, size_t len)
{
    for (size_t i = 0; i < len && used < sizeof(burst); i++)
        put(&c, 1);
}

// A number of the kind that breaks things.
static uint32_t telling_number(void)
{
    static const uint32_t numbers[] = {0,     1,     2,     3,          99,         100,
                                       101,   255,   4096,  16383,      16384,      16385,
                                       65534, 65535, 65536, 0x7ffffffe, 0x7fffffff, 0x80000000,
                                       1000,  8192,  20000, 0xffffff,   0xffffffff, 150000};
    return once_in(3) ? draw(UINT32_MAX) : numbers[draw(sizeof(numbers) / sizeof(*numbers))];
}

// -- HTTP/2 -----------------------------------------------------------------

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
    size_t at = used;
    put_byte(0), put_byte(0), put_byte(0);
    put_byte(type);
    put_byte(once_in(40) ? draw(256) : flags);
    put_u32(stream);
    return at;
}

static void close_frame(size_t at)
{
    if (at + 9 > used)
        return;
    size_t len = used - at - 9;
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
                                          : path;
        put_string(target, strlen(target));
    }
    if (!once_in(4)) {
        put_integer(4, 0x10, 23);
        put_string(authorization, strlen(authorization));
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
        put_u32(once_in(2) ? length : once_in(2) ? telling_number() : 60000 + draw(200000));
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

static void make_h2(void)
{
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

// -- HTTP/1 -----------------------------------------------------------------

static void put_end_of_line(void)
{
    put_text(once_in(60) ? "\n" : once_in(80) ? "\r" : "\r\n");
}

static void put_h1_header(void)
{
    static const char *const lines[] = {"content-length: 5",
                                        "content-length: 0",
                                        "content-length: -1",
                                        "content-length: 99999999999999999999",
                                        "content-length: 70000",
                                        "transfer-encoding: chunked",
                                        "transfer-encoding: gzip, chunked",
                                        "transfer-encoding: xchunked",
                                        "expect: 100-continue",
                                        "expect: more",
                                        "connection: close",
                                        "connection: keep-alive, upgrade",
                                        "connection: upgrade, http2-settings",
                                        "upgrade: h2c",
                                        "http2-settings: AAMAAABkAAQAAP__",
                                        "host: a",
                                        "host: b c",
                                        "x:",
                                        ": y",
                                        "x y: z",
                                        " folded",
                                        "\tfolded: too",
                                        "x-api-key: k",
                                        "accept-encoding: gzip;q=0.5, *;q=0",
                                        "if-none-match: \"a\", W/\"b\", *",
                                        "origin: https://a",
                                        "cookie: a=b",
                                        "access-control-request-headers: x, y",
                                        "x: a\x01z",
                                        "X-\x80: z",
                                        "no colon at all"};
    if (once_in(40)) {
        put_text("x-long: ");
        put_fill('l', draw(20000));
    } else {
        put_text(lines[draw(sizeof(lines) / sizeof(*lines))]);
    }
    put_end_of_line();
}

static void put_h1_body(void)
{
    switch (draw(5)) {
    case 0:
        put_text("hello");
        break;
    case 1:
        put_text("5\r\nhello\r\n0\r\n\r\n");
        break;
    case 2:
        put_text("5;a=b\r\nhello\r\nFFFFFFFFFFFFFFFFF\r\n");
        break;
    case 3:
        put_fill('b', draw(30000));
        break;
    default:
        break;
    }
}

static void make_h1(void)
{
    static const char *const methods[] = {"GET ",  "GET ", "GET ",    "HEAD ", "OPTIONS ",
                                          "POST ", "PRI ", "G\x80T ", "",      "get "};
    static const char *const targets[] = {"/",
                                          "*",
                                          "/v1/models",
                                          "http://h/v1/models",
                                          "/v1/models/%2f%",
                                          "/v1/models/a/b?x=y#z",
                                          "//..//",
                                          "/v1/models/\xff\xfe",
                                          "v1",
                                          ""};
    static const char *const versions[] = {" HTTP/1.1", " HTTP/1.1", " HTTP/1.1", " HTTP/1.1",
                                           " HTTP/1.0", " HTTP/2.0", " HTTP/1.9", ""};
    for (uint32_t n = 1 + draw(8); n > 0; n--) {
        put_text(methods[draw(10)]);
        put_text(once_in(2) ? path : targets[draw(10)]);
        put_text(versions[draw(8)]);
        put_end_of_line();
        if (!once_in(20))
            put_text("host: fuzz\r\n");
        if (!once_in(3)) {
            put_text("authorization: ");
            put_text(authorization);
            put_end_of_line();
        }
        for (uint32_t lines = once_in(30) ? draw(130) : draw(5); lines > 0; lines--)
            put_h1_header();
        put_end_of_line();
        put_h1_body();
    }
}

// A few bytes are not what they were.
static void spoil(void)
{
    if (!once_in(3) || used == 0)
        return;
    for (uint32_t n = 1 + draw(4); n > 0; n--)
        burst[draw((uint32_t)used)] = (uint8_t)draw(256);
    if (once_in(4))
        used = draw((uint32_t)used + 1);
}

// -- connections ------------------------------------------------------------

// Many source addresses, so that ports do not run out.
static int connect_to(uint16_t port, uint64_t number)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr = {htonl(0x7f000002 + (uint32_t)(number % 1000))}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        return -1;
    struct timeval patience = {PATIENCE_MS / 1000, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        return -1;
    return fd;
}

static void drain(int fd, int ms)
{
    char bytes[65536];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (poll(&poll_fd, 1, ms) > 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

// In one piece or in several, reading in between or not.
static void send_burst(int fd)
{
    size_t at = 0;
    while (at < used) {
        size_t piece = once_in(3) ? 1 + draw((uint32_t)(used - at)) : used - at;
        ssize_t sent = send(fd, burst + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return;
        at += (size_t)sent;
        if (at < used && once_in(2))
            drain(fd, once_in(8) ? 1 : 0);
    }
}

// Most connections stay open a little, beside those that come after them.
static void end_connection(int fd)
{
    struct linger reset = {1, 0};
    if (once_in(3))
        drain(fd, 0);
    if (once_in(2))
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    else if (once_in(2))
        shutdown(fd, SHUT_WR);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc < 8) {
        fprintf(stderr, "usage: %s h1|h2 port bursts seed authorization path length [number]\n",
                argv[0]);
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[2]);
    uint64_t count = strtoull(argv[3], NULL, 10), seed = strtoull(argv[4], NULL, 0);
    uint64_t first = argc > 8 ? strtoull(argv[8], NULL, 10) : 0;
    authorization = argv[5];
    path = argv[6];
    length = (uint32_t)strtoul(argv[7], NULL, 10);
    int open[DEPTH];
    for (size_t i = 0; i < DEPTH; i++)
        open[i] = -1;
    for (uint64_t n = first; n < first + count; n++) {
        begin(seed, n);
        int fd = connect_to(port, n);
        if (fd < 0) {
            fprintf(stderr, "burst %llu: %s\n", (unsigned long long)n, strerror(errno));
            return 1;
        }
        if (strcmp(argv[1], "h2") == 0)
            make_h2();
        else
            make_h1();
        spoil();
        send_burst(fd);
        if (open[n % DEPTH] >= 0)
            end_connection(open[n % DEPTH]);
        open[n % DEPTH] = fd;
    }
    for (size_t i = 0; i < DEPTH; i++)
        if (open[i] >= 0)
            end_connection(open[i]);
    return 0;
}
