// SPDX-License-Identifier: Apache-2.0
// Offsets, not pointers: the bytes move while the list grows.
#include "common/store/words.h"

#include <stdlib.h>

enum { START = 16 };

void words_fini(struct words *w)
{
    buf_fini(&w->bytes);
    free(w->spans);
    *w = (struct words){0};
}

void words_clear(struct words *w)
{
    buf_clear(&w->bytes);
    w->count = 0;
}

static size_t add_span(struct words *w, size_t at, bool none)
{
    if (w->count == w->size) {
        w->size = w->size > 0 ? 2 * w->size : START;
        w->spans = xrealloc(w->spans, w->size * sizeof(*w->spans));
    }
    w->spans[w->count] = (struct words_span){.at = at, .len = w->bytes.len - at, .none = none};
    return w->count++;
}

size_t words_add(struct words *w, struct slice s)
{
    size_t at = w->bytes.len;
    buf_append_slice(&w->bytes, s);
    return add_span(w, at, s.ptr == NULL);
}

size_t words_add_u64(struct words *w, uint64_t n)
{
    size_t at = w->bytes.len;
    buf_append_u64(&w->bytes, n);
    return add_span(w, at, false);
}

struct slice words_at(const struct words *w, size_t i)
{
    CM_ASSERT(i < w->count);
    const struct words_span *span = &w->spans[i];
    if (span->none)
        return SLICE_NONE;
    return span->len > 0 ? slice_make(w->bytes.ptr + span->at, span->len) : SLICE_LIT("");
}
