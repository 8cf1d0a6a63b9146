// SPDX-License-Identifier: Apache-2.0
// Growable bytes on the heap. A zeroed struct is a valid empty buffer.
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "common/base/slice.h"
#include "common/base/util.h"

// ptr[0..len) is content; cap is what is allocated. ptr is NULL while cap is 0.
struct buf {
    char *ptr;
    size_t len;
    size_t cap;
};

// A zeroed struct is a valid empty buffer. None of these fails: where memory is out, the
// process ends (xrealloc). What is appended must not be a view of b itself.
void buf_init(struct buf *b);
void buf_fini(struct buf *b);  // frees; the buffer is empty and usable again
void buf_clear(struct buf *b); // len = 0, memory kept
// Room for that many more bytes, so that they can be written at ptr + len.
void buf_reserve(struct buf *b, size_t extra);
void buf_append(struct buf *b, const void *ptr, size_t len);
void buf_append_slice(struct buf *b, struct slice s);
void buf_append_str(struct buf *b, const char *text);
void buf_append_char(struct buf *b, char c);
void buf_append_u64(struct buf *b, uint64_t n);
void buf_append_i64(struct buf *b, int64_t n);
void buf_printf(struct buf *b, const char *format, ...) CM_PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) CM_PRINTF(2, 0);
// Valid until the next change of b.
struct slice buf_slice(const struct buf *b);
// NUL-ends the content without counting the NUL and returns it; valid until
// the next change of b.
const char *buf_cstr(struct buf *b);
// Gives the memory away (caller frees; NULL when empty) and leaves b empty.
CM_MUST_CHECK char *buf_steal(struct buf *b, size_t *len);
// The same at its exact size, for what is kept long: the caller frees ptr.
CM_MUST_CHECK struct slice buf_keep(struct buf *b);
