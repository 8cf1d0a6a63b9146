// SPDX-License-Identifier: Apache-2.0
// Lists in pages: limit, after_id, before_id in; the list object out.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "admin/query.h"
#include "common/base/buf.h"

#define PAGING_PARAMETERS "limit after_id before_id"

enum { PAGING_LIMIT_DEFAULT = 50, PAGING_LIMIT_MAX = 1000 };

struct paging {
    size_t limit;
    struct slice after, before; // exclusive; at most one is not empty
};

// Slices point into q.
CM_MUST_CHECK bool paging_take(struct paging *p, const struct query *q, struct problem *problem);
static inline bool paging_is_backward(const struct paging *p)
{
    return p->before.len > 0;
}

struct paging_item {
    char *id;
    struct buf json;
};

// Collects one more item than fits, in the direction of reading, to know whether
// there is more. A zeroed struct is empty.
struct paging_list {
    size_t count, room;
    struct paging_item *items;
};

// It has the one item more: nothing need be added.
bool paging_is_full(const struct paging *p, const struct paging_list *list);
// Adds an item and returns the buffer for its JSON, valid until the next add.
struct buf *paging_add(struct paging_list *list, struct slice id);
// {"object":"list","data":[...],"has_more":...,"first_id":...,"last_id":...}, in
// list order whatever the direction of reading was.
void paging_write(struct buf *out, const struct paging *p, const struct paging_list *list);
void paging_list_fini(struct paging_list *list);
