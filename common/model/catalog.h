// SPDX-License-Identifier: Apache-2.0
// The catalog as the public API lists it: models ordered by (created, id), cut
// into copy-on-write pages that hold their bytes rendered once.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/model.h"

enum { PAGE_TARGET = 128 }; // models a page aims at; 2 * PAGE_TARGET splits

// Immutable; counted by reference. Only active models are on pages.
struct page {
    unsigned refs;
    size_t count;
    struct model **models; // one reference each, in list order
    struct slice body;     // the models' bodies with "," between them
    struct slice deflated; // raw deflate of body, fresh state, ended by Z_SYNC_FLUSH
    uint32_t crc;          // CRC-32 of body
    unsigned char digest[16];
};

// What one list shows; immutable; counted by reference. A slow reader pins it.
struct view {
    unsigned refs;
    uint64_t serial; // differs between any two views of a process
    size_t page_count;
    struct page **pages;
    size_t model_count;
    struct slice first_id_json, last_id_json; // into the pages; empty when there is no model
    size_t body_len, deflated_len;            // sums, separators between pages not counted
    unsigned char digest[16];                 // of the pages' digests
};

struct catalog;

CM_MUST_CHECK struct catalog *catalog_create(void);
void catalog_destroy(struct catalog *c);
// Takes over one reference of m; replaces the model of that id.
void catalog_put(struct catalog *c, struct model *m);
// False when there was none.
bool catalog_remove(struct catalog *c, struct slice id);
// The model of that id, active or not, or NULL. Borrowed until the next change.
struct model *catalog_find(const struct catalog *c, struct slice id);
// All models, also inactive ones.
size_t catalog_count(const struct catalog *c);
// Builds what changed since the last call and returns the current view,
// borrowed; view_ref it to keep it.
struct view *catalog_view(struct catalog *c);
struct view *view_ref(struct view *v);
void view_unref(struct view *v); // NULL is fine
