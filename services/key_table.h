// SPDX-License-Identifier: Apache-2.0
// Cache entries by digest: a hash table with open addressing and a fixed number
// of slots, so that no request ever pays for a rehash.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/secret.h"

// What the table needs of an entry: it stands first in it.
struct key_table_entry {
    struct secret_digest digest;
};

struct key_table {
    struct key_table_slot *slots;
    size_t mask;   // slots - 1
    size_t count;  // slots in use
    uint64_t seed; // odd and secret
};

// Room for at least max_entries; never more may be put.
void key_table_init(struct key_table *t, size_t max_entries);
void key_table_fini(struct key_table *t); // the entries are their owner's
// Memory that a table for so many entries takes.
size_t key_table_bytes(size_t max_entries);

// Borrowed, or NULL.
struct key_table_entry *key_table_find(const struct key_table *t,
                                       const struct secret_digest *digest);
// e's digest must not be in the table.
void key_table_put(struct key_table *t, struct key_table_entry *e);
// e must be in the table.
void key_table_remove(struct key_table *t, const struct key_table_entry *e);
