// SPDX-License-Identifier: Apache-2.0
// Bookkeeping of one copy. A record that is put again (a page of the scan may
// hold it twice, the log repeats what the scan has seen) replaces its own digest,
// so the sum is right however often it comes.
#include "common/model/feed_copy.h"

#include <stdlib.h>
#include <string.h>

#define uthash_malloc(size) xmalloc(size)
#define uthash_free(ptr, size) free(ptr)
#include <uthash.h>

// A table that grows relinks all its records in one turn of the loop; one of this size
// does not grow below some 20,000.
#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS 8192U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 13U

struct feed_copy_record {
    UT_hash_handle hh;
    struct digest digest;
    char id[];
};

static struct feed_copy_record *find(const struct feed_copy *c, struct slice id)
{
    struct feed_copy_record *record;
    HASH_FIND(hh, c->records, id.ptr, id.len, record);
    return record;
}

static struct feed_copy_record *add(struct feed_copy *c, struct slice id)
{
    struct feed_copy_record *record = xcalloc(1, sizeof(*record) + id.len);
    memcpy(record->id, id.ptr, id.len);
    HASH_ADD_KEYPTR(hh, c->records, record->id, id.len, record);
    c->at.models++;
    return record;
}

void feed_copy_put(struct feed_copy *c, struct slice id, struct slice record)
{
    CM_ASSERT(id.len > 0);
    struct feed_copy_record *r = find(c, id);
    if (r == NULL)
        r = add(c, id);
    c->at.digest = digest_subtract(c->at.digest, r->digest);
    r->digest = digest_record(id, record);
    c->at.digest = digest_add(c->at.digest, r->digest);
}

void feed_copy_remove(struct feed_copy *c, struct slice id)
{
    struct feed_copy_record *r = find(c, id);
    if (r == NULL)
        return;
    c->at.digest = digest_subtract(c->at.digest, r->digest);
    c->at.models--;
    HASH_DEL(c->records, r);
    free(r);
}

void feed_copy_clear(struct feed_copy *c)
{
    struct feed_copy_record *r = c->records;
    HASH_CLEAR(hh, c->records);
    while (r != NULL) {
        struct feed_copy_record *next = r->hh.next;
        free(r);
        r = next;
    }
    *c = (struct feed_copy){.records = NULL};
}

void feed_copy_take(struct feed_copy *to, const struct feed_copy_record **next, size_t most)
{
    for (; *next != NULL && most > 0; most--) {
        const struct feed_copy_record *from = *next;
        struct feed_copy_record *record = xcalloc(1, sizeof(*record) + from->hh.keylen);
        memcpy(record->id, from->id, from->hh.keylen);
        record->digest = from->digest;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, to->records, record->id, from->hh.keylen, from->hh.hashv,
                                    record);
        *next = from->hh.next;
    }
}

// The table's own order links the records: so they are one chain without a walk.
void feed_copy_discard(struct feed_copy *c, struct feed_copy_record **trash)
{
    struct feed_copy_record *first = c->records;
    if (first != NULL) {
        UT_hash_table *table = first->hh.tbl;
        struct feed_copy_record *last = ELMT_FROM_HH(table, table->tail);
        HASH_CLEAR(hh, c->records);
        last->hh.next = *trash;
        *trash = first;
    }
    *c = (struct feed_copy){.records = NULL};
}

void feed_copy_sweep(struct feed_copy_record **trash, size_t most)
{
    for (; *trash != NULL && most > 0; most--) {
        struct feed_copy_record *next = (*trash)->hh.next;
        free(*trash);
        *trash = next;
    }
}

bool feed_copy_sums_up(const struct feed_copy *c, const struct head *head)
{
    return digest_equal(c->at.digest, head->digest) && c->at.models == head->models;
}
