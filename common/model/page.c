// SPDX-License-Identifier: Apache-2.0
// Rendering a run of models: their objects with a "," before each, so that any
// page can stand first (its first byte left out) or later (whole), and the same
// in deflate, where that first "," is a block of its own.
#include "common/model/page.h"

#include <stdlib.h>

#include "common/model/gzip.h"

enum { COMMA_LEN = 1, COMMA_BLOCK_LEN = 6 };

#define COMMA SLICE_LIT(",")

static struct slice render(struct model *const *models, size_t count)
{
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        buf_append_slice(&text, COMMA);
        buf_append_slice(&text, models[i]->body);
    }
    return buf_keep(&text);
}

static struct slice pack(struct slice body)
{
    struct buf text = {0};
    gzip_append_stored(&text, COMMA);
    CM_ASSERT(text.len == COMMA_BLOCK_LEN);
    gzip_append_deflated(&text, slice_skip(body, COMMA_LEN), GZIP_FOR_ALL);
    return buf_keep(&text);
}

// Both are where model_parse put them: behind `{"id":` of the first object and
// of the last one.
static void find_ids(struct page *p, const struct model *first, const struct model *last)
{
    size_t before = (size_t)(first->id_json.ptr - first->body.ptr);
    p->first_id_json = slice_make(p->body.ptr + COMMA_LEN + before, first->id_json.len);
    before = (size_t)(last->id_json.ptr - last->body.ptr);
    p->last_id_json =
        slice_make(p->body.ptr + p->body.len - last->body.len + before, last->id_json.len);
}

struct page *page_create(struct model *const *models, size_t count)
{
    CM_ASSERT(count > 0);
    struct page *p = xcalloc(1, sizeof(*p));
    p->refs = 1;
    p->count = count;
    p->body = render(models, count);
    p->packed = pack(p->body);
    struct slice first = page_plain(p, true);
    p->first_crc = gzip_crc(first);
    p->crc = gzip_crc_join(gzip_crc(COMMA), p->first_crc, first.len);
    find_ids(p, models[0], models[count - 1]);
    return p;
}

struct page *page_ref(struct page *p)
{
    p->refs++;
    return p;
}

void page_unref(struct page *p)
{
    if (p == NULL || --p->refs > 0)
        return;
    free((void *)p->body.ptr);
    free((void *)p->packed.ptr);
    free(p);
}

struct slice page_plain(const struct page *p, bool first)
{
    return slice_skip(p->body, first ? COMMA_LEN : 0);
}

struct slice page_packed(const struct page *p, bool first)
{
    return slice_skip(p->packed, first ? COMMA_BLOCK_LEN : 0);
}
