// SPDX-License-Identifier: Apache-2.0
// What one public list shows: pages, their joined bytes in both encodings, and
// the frame of a key without aliases.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/list_frame.h"
#include "common/model/page.h"

// Immutable; counted by reference. A slow reader pins it, and with it its pages
// only: views of one catalog share all pages that did not change between them.
struct view {
    unsigned refs;
    uint64_t serial; // never 0; differs between any two views of a process
    size_t model_count;
    size_t page_count;
    struct page **pages;     // one reference each, in list order
    struct slice *plain;     // their bytes in that order, "," between pages included
    struct slice *packed;    // the same as raw deflate
    size_t packed_len;       // sum of packed
    struct list_body body;   // of plain
    struct list_frame frame; // around it where there is no alias
};

// Takes a reference of each page. digest: of the models, see list_body.
CM_MUST_CHECK struct view *view_create(struct page *const *pages, size_t count,
                                       struct digest digest);
struct view *view_ref(struct view *v);
void view_unref(struct view *v); // NULL is fine
