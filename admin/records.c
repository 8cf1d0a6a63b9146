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

struct record_counts_slots record_counts_ask(struct fetch *f)
{
    return (struct record_counts_slots){.models = fetch_model_count(f), .keys = fetch_key_count(f)};
}

struct record_counts record_counts_read(const struct fetch *f, struct record_counts_slots slots)
{
    struct record_counts c = {.known = false};
    c.known = slice_parse_u64(fetch_result(f, slots.models), UINT64_MAX, &c.models) &&
              slice_parse_u64(fetch_result(f, slots.keys), UINT64_MAX, &c.keys);
    return c;
}

void record_counts_write(const struct record_counts *c, struct buf *out)
{
    if (c->known)
        buf_printf(out, "{\"models\":%llu,\"keys\":%llu}", (unsigned long long)c->models,
                   (unsigned long long)c->keys);
    else
        buf_append_str(out, "null");
}
