// SPDX-License-Identifier: Apache-2.0
// Growable bytes: doubling, never shrinking, aborting when the heap is out.
#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b)
{
    *b = (struct buf){NULL, 0, 0};
}

void buf_fini(struct buf *b)
{
    free(b->ptr);
    buf_init(b);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

void buf_reserve(struct buf *b, size_t extra)
{
    if (extra <= b->cap - b->len)
        return;
    size_t want = b->cap < 64 ? 64 : b->cap;
    while (want - b->len < extra) {
        CM_ASSERT(want <= SIZE_MAX / 2);
        want *= 2;
    }
    b->ptr = xrealloc(b->ptr, want);
    b->cap = want;
}

void buf_append(struct buf *b, const void *ptr, size_t len)
{
    if (len == 0)
        return;
    buf_reserve(b, len);
    memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

void buf_append_slice(struct buf *b, struct slice s)
{
    buf_append(b, s.ptr, s.len);
}

void buf_append_str(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_append_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_append_u64(struct buf *b, uint64_t n)
{
    char digits[20]; // of the largest number
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    buf_append(b, digits + at, sizeof(digits) - at);
}

void buf_append_i64(struct buf *b, int64_t n)
{
    if (n < 0)
        buf_append_char(b, '-');
    buf_append_u64(b, n < 0 ? -(uint64_t)n : (uint64_t)n);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    CM_ASSERT(len >= 0);
    buf_reserve(b, (size_t)len + 1);
    vsnprintf(b->ptr + b->len, (size_t)len + 1, format, again);
    b->len += (size_t)len;
    va_end(again);
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr, b->len};
}

const char *buf_cstr(struct buf *b)
{
    buf_reserve(b, 1);
    b->ptr[b->len] = '\0';
    return b->ptr;
}

char *buf_steal(struct buf *b, size_t *len)
{
    char *ptr = b->ptr;
    *len = b->len;
    buf_init(b);
    return ptr;
}

struct slice buf_keep(struct buf *b)
{
    size_t len;
    char *ptr = buf_steal(b, &len);
    if (len > 0)
        return slice_make(xrealloc(ptr, len), len);
    free(ptr);
    return SLICE_NONE;
}
