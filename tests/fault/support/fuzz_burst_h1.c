// SPDX-License-Identifier: Apache-2.0
// Requests of HTTP/1, with what proxies and servers have read in different ways.
#include "fuzz_burst.h"

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

void burst_make_h1(void)
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
        put_text(once_in(2) ? burst_target.path : targets[draw(10)]);
        put_text(versions[draw(8)]);
        put_end_of_line();
        if (!once_in(20))
            put_text("host: fuzz\r\n");
        if (!once_in(3)) {
            put_text("authorization: ");
            put_text(burst_target.authorization);
            put_end_of_line();
        }
        for (uint32_t lines = once_in(30) ? draw(130) : draw(5); lines > 0; lines--)
            put_h1_header();
        put_end_of_line();
        put_h1_body();
    }
}
