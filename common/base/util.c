// SPDX-License-Identifier: Apache-2.0
// Failing loudly. Nothing in here returns an error: a broken invariant, an
// exhausted heap and a kernel without randomness all end the process with one
// line, because no caller could do better.
#include "common/base/util.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void util_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "{\"level\":\"error\",\"event\":\"assert_failed\",\"at\":\"%s:%d\"}\n", file,
            line);
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    abort();
}

static void *check(void *ptr)
{
    if (ptr == NULL) {
        static const char line[] = "{\"level\":\"error\",\"event\":\"out_of_memory\"}\n";
        fwrite(line, 1, sizeof(line) - 1, stderr);
        abort();
    }
    return ptr;
}

void *xmalloc(size_t size)
{
    return check(malloc(size > 0 ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return check(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xrealloc(void *ptr, size_t size)
{
    return check(realloc(ptr, size > 0 ? size : 1));
}

char *xstrndup(const char *ptr, size_t len)
{
    char *copy = xmalloc(len + 1);
    if (len > 0)
        memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}

void util_random(void *out, size_t len)
{
    unsigned char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        CM_ASSERT(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

// The 8 digits of 4 bytes at once, in memory order on a little-endian machine: each
// half of a byte gets a byte of its own, and to each is added the distance to its
// digit, which is greater from 10 on.
static uint64_t hex_digits(uint32_t bytes)
{
    uint64_t n = bytes;
    n = (n | n << 16) & 0x0000ffff0000ffffu;
    n = (n | n << 8) & 0x00ff00ff00ff00ffu;
    n = (n >> 4 & 0x000f000f000f000fu) | (n & 0x000f000f000f000fu) << 8;
    uint64_t letters = (n + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    return n + 0x3030303030303030u + letters * ('a' - '9' - 1);
}

static inline void encode(const unsigned char *bytes, size_t len, char *out)
{
    uint32_t four = 0;
    memcpy(&four, bytes, len);
    uint64_t digits = htole64(hex_digits(le32toh(four)));
    memcpy(out, &digits, 2 * len);
}

void util_hex_encode(const unsigned char *bytes, size_t len, char *out)
{
    for (; len >= 4; bytes += 4, len -= 4, out += 8)
        encode(bytes, 4, out);
    if (len > 0)
        encode(bytes, len, out);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

_Bool util_hex_decode(const char *hex, unsigned char *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = digit(hex[2 * i]);
        int low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return 1;
}
