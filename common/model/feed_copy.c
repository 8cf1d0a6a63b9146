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

bool feed_copy_sums_up(const struct feed_copy *c, const struct head *head)
{
    return digest_equal(c->at.digest, head->digest) && c->at.models == head->models;
}
