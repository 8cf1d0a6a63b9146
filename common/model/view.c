// SPDX-License-Identifier: Apache-2.0
// Putting a view together: only the slices, sums and the frame are its own.
#include "common/model/view.h"

#include <stdlib.h>

#include "common/model/gzip.h"

static uint64_t next_serial(void)
{
    static uint64_t serial;
    return ++serial;
}

static void take_page(struct view *v, size_t i, struct page *p)
{
    bool first = i == 0;
    v->pages[i] = page_ref(p);
    v->plain[i] = page_plain(p, first);
    v->packed[i] = page_packed(p, first);
    v->body.crc = first ? p->first_crc : gzip_crc_join(v->body.crc, p->crc, p->body.len);
    v->body.length += v->plain[i].len;
    v->packed_len += v->packed[i].len;
    v->model_count += p->count;
}

struct view *view_create(struct page *const *pages, size_t count, struct digest digest)
{
    struct view *v = xcalloc(1, sizeof(*v));
    v->refs = 1;
    v->serial = next_serial();
    v->page_count = count;
    v->pages = xcalloc(count, sizeof(struct page *));
    v->plain = xcalloc(count, sizeof(struct slice));
    v->packed = xcalloc(count, sizeof(struct slice));
    for (size_t i = 0; i < count; i++)
        take_page(v, i, pages[i]);
    v->body.digest = digest;
    if (count > 0) {
        v->body.first_id_json = pages[0]->first_id_json;
        v->body.last_id_json = pages[count - 1]->last_id_json;
    }
    list_frame_init(&v->frame, &v->body, &(struct list_lines){0});
    return v;
}

struct view *view_ref(struct view *v)
{
    v->refs++;
    return v;
}

void view_unref(struct view *v)
{
    if (v == NULL || --v->refs > 0)
        return;
    for (size_t i = 0; i < v->page_count; i++)
        page_unref(v->pages[i]);
    free(v->pages);
    free(v->plain);
    free(v->packed);
    list_frame_fini(&v->frame);
    free(v);
}
