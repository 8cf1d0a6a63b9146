// SPDX-License-Identifier: Apache-2.0
// A run of neighbouring models of the public list, rendered and compressed
// once, shared by every list that shows it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/model.h"

// Immutable; counted by reference. Owns its bytes; it does not hold the models.
struct page {
    unsigned refs;
    size_t count;
    struct slice body;          // each model's public object with a "," before it
    struct slice packed;        // raw deflate of body: the first "," in a block of its own
    uint32_t crc;               // CRC-32 of body
    uint32_t first_crc;         // CRC-32 of body without its first ","
    struct slice first_id_json; // into body
    struct slice last_id_json;
};

// Renders count > 0 models in the given order. Returns one reference.
CM_MUST_CHECK struct page *page_create(struct model *const *models, size_t count);
struct page *page_ref(struct page *p);
void page_unref(struct page *p); // NULL is fine

// The bytes as they stand in a list: without the first "," on its first page.
struct slice page_plain(const struct page *p, bool first);
struct slice page_packed(const struct page *p, bool first);
