// SPDX-License-Identifier: Apache-2.0
// A ring that grows: what bounds it is redis_room. Replies come in order, so only
// the oldest one needs a deadline.
#include "common/store/pending.h"

#include <stdlib.h>

enum { START = 16, SLOW_REPLY_FACTOR = 10 };

void pending_fini(struct pending *p)
{
    free(p->ring);
    *p = (struct pending){0};
}

static void grow(struct pending *p)
{
    size_t size = p->size > 0 ? 2 * p->size : START;
    struct pending_one *ring = xmalloc(size * sizeof(*ring));
    for (size_t i = 0; i < p->count; i++)
        ring[i] = p->ring[(p->first + i) % p->size];
    free(p->ring);
    p->ring = ring;
    p->size = size;
    p->first = 0;
}

void pending_push(struct pending *p, redis_on_reply on_reply, void *ctx, uint64_t now_ms)
{
    if (p->count == p->size)
        grow(p);
    p->ring[(p->first + p->count++) % p->size] =
        (struct pending_one){.on_reply = on_reply, .ctx = ctx, .sent_ms = now_ms};
}

struct pending_one pending_take(struct pending *p, uint64_t now_ms)
{
    CM_ASSERT(p->count > 0);
    struct pending_one oldest = p->ring[p->first];
    p->first = (p->first + 1) % p->size;
    p->count--;
    p->answered_ms = now_ms;
    return oldest;
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t pending_due_ms(const struct pending *p, uint64_t heard_ms, uint64_t timeout_ms)
{
    CM_ASSERT(p->count > 0);
    uint64_t sent_ms = p->ring[p->first].sent_ms;
    uint64_t silent = later_of(sent_ms, heard_ms) + timeout_ms;
    uint64_t slow = later_of(sent_ms, p->answered_ms) + SLOW_REPLY_FACTOR * timeout_ms;
    return silent < slow ? silent : slow;
}
