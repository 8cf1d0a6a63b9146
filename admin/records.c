// SPDX-License-Identifier: Apache-2.0
// The store keeps the catalog as one hash without an order; sorting some hundred
// or thousand views costs less than an index that every write would have to keep.
#include "admin/records.h"

#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
    return slice_compare(((const struct record *)a)->id, ((const struct record *)b)->id);
}

struct record *records_read(const struct fetch *f, size_t slot, size_t *count)
{
    size_t n = fetch_list_count(f, slot) / 2;
    struct record *records = xcalloc(n, sizeof(*records));
    for (size_t i = 0; i < n; i++)
        records[i] =
            (struct record){fetch_list_at(f, slot, 2 * i), fetch_list_at(f, slot, 2 * i + 1)};
    qsort(records, n, sizeof(*records), by_id);
    *count = n;
    return records;
}

struct slice records_find(const struct record *records, size_t count, struct slice id)
{
    const struct record key = {.id = id};
    const struct record *found =
        count == 0 ? NULL : bsearch(&key, records, count, sizeof(*records), by_id);
    return found == NULL ? SLICE_NONE : found->text;
}
