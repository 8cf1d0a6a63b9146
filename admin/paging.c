// SPDX-License-Identifier: Apache-2.0
// A page before an id is read backwards from it, so that it ends right there,
// and turned around for the answer.
#include "admin/paging.h"

#include <stdlib.h>

#include "common/model/doc.h"

bool paging_take(struct paging *p, const struct query *q, struct problem *problem)
{
    uint64_t limit = PAGING_LIMIT_DEFAULT;
    if (!query_uint(q, "limit", 1, PAGING_LIMIT_MAX, &limit, problem))
        return false;
    p->limit = (size_t)limit;
    p->after = query_get(q, "after_id");
    p->before = query_get(q, "before_id");
    if (p->after.ptr != NULL && p->before.ptr != NULL) {
        problem_set(problem, PROBLEM_INVALID_PARAMETER,
                    "after_id and before_id exclude each other");
        return false;
    }
    if ((p->after.ptr != NULL && p->after.len == 0) ||
        (p->before.ptr != NULL && p->before.len == 0)) {
        problem_set(problem, PROBLEM_INVALID_PARAMETER, "after_id and before_id must not be empty");
        return false;
    }
    return true;
}

bool paging_is_full(const struct paging *p, const struct paging_list *list)
{
    return list->count > p->limit;
}

struct buf *paging_add(struct paging_list *list, struct slice id)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 64 : 2 * list->room;
        list->items = xrealloc(list->items, list->room * sizeof(*list->items));
    }
    struct paging_item *item = &list->items[list->count++];
    *item = (struct paging_item){.id = slice_dup(id)};
    return &item->json;
}

static void write_id(struct buf *out, const char *name, const struct paging_item *item)
{
    buf_printf(out, ",\"%s\":", name);
    if (item == NULL)
        buf_append_str(out, "null");
    else
        doc_write_string(out, slice_of(item->id));
}

void paging_write(struct buf *out, const struct paging *p, const struct paging_list *list)
{
    size_t shown = list->count < p->limit ? list->count : p->limit;
    const struct paging_item *first = NULL, *last = NULL;
    buf_append_str(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < shown; i++) {
        const struct paging_item *item = &list->items[paging_is_backward(p) ? shown - 1 - i : i];
        if (i > 0)
            buf_append_char(out, ',');
        buf_append_slice(out, buf_slice(&item->json));
        first = first == NULL ? item : first;
        last = item;
    }
    buf_printf(out, "],\"has_more\":%s", list->count > p->limit ? "true" : "false");
    write_id(out, "first_id", first);
    write_id(out, "last_id", last);
    buf_append_char(out, '}');
}

void paging_list_fini(struct paging_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].id);
        buf_fini(&list->items[i].json);
    }
    free(list->items);
    *list = (struct paging_list){.count = 0};
}
