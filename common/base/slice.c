// SPDX-License-Identifier: Apache-2.0
// Views of bytes. Nothing here allocates but slice_dup, and nothing fails but
// the strict number parser, which leaves its result alone.
#include "common/base/slice.h"

#include <string.h>

struct slice slice_of(const char *text)
{
    return text == NULL ? SLICE_NONE : (struct slice){text, strlen(text)};
}

struct slice slice_make(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equal_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && equal_nocase(a.ptr, b.ptr, a.len);
}

int slice_compare(struct slice a, struct slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared == 0 ? 0 : memcmp(a.ptr, b.ptr, shared);
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool slice_contains_nocase(struct slice s, struct slice part)
{
    for (size_t at = 0; at + part.len <= s.len; at++)
        if (equal_nocase(s.ptr + at, part.ptr, part.len))
            return true;
    return false;
}

struct slice slice_skip(struct slice s, size_t n)
{
    if (n >= s.len)
        return (struct slice){s.ptr == NULL ? NULL : s.ptr + s.len, 0};
    return (struct slice){s.ptr + n, s.len - n};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = slice_skip(s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct slice slice_take(struct slice *rest, char sep)
{
    const char *at = rest->len == 0 ? NULL : memchr(rest->ptr, sep, rest->len);
    struct slice part = *rest;
    if (at == NULL) {
        *rest = SLICE_NONE;
        return part;
    }
    part.len = (size_t)(at - rest->ptr);
    *rest = slice_skip(*rest, part.len + 1);
    return part;
}

bool slice_parse_u64(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (s.len == 0 || (s.len > 1 && s.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (n > max)
        return false;
    *out = n;
    return true;
}

// Length of the character at the start of s, 0 when it is not UTF-8.
static size_t utf8_char(const unsigned char *p, size_t len)
{
    if (p[0] < 0x80)
        return 1;
    size_t need = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || len < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return need;
}

// How many bytes from `at` on are surely ASCII, eight at a time.
static size_t ascii_run(struct slice s, size_t at)
{
    const uint64_t high_bits = 0x8080808080808080u;
    size_t from = at;
    while (at < s.len) {
        uint64_t word = 0;
        size_t step = s.len - at < sizeof(word) ? s.len - at : sizeof(word);
        if (step == sizeof(word))
            memcpy(&word, s.ptr + at, sizeof(word)); // one load
        else
            memcpy(&word, s.ptr + at, step);
        if ((word & high_bits) != 0)
            break;
        at += step;
    }
    return at - from;
}

bool slice_is_utf8(struct slice s)
{
    for (size_t at = ascii_run(s, 0); at < s.len;) {
        size_t step = utf8_char((const unsigned char *)s.ptr + at, s.len - at);
        if (step == 0)
            return false;
        at += step;
        at += ascii_run(s, at);
    }
    return true;
}

size_t slice_utf8_cut(struct slice s, size_t max)
{
    size_t at = 0;
    while (at < s.len) {
        size_t step = utf8_char((const unsigned char *)s.ptr + at, s.len - at);
        if (step == 0)
            step = 1;
        if (at + step > max)
            break;
        at += step;
    }
    return at;
}

char *slice_dup(struct slice s)
{
    return xstrndup(s.ptr, s.len);
}
