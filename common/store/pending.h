// SPDX-License-Identifier: Apache-2.0
// The commands of one connection that wait for a reply, oldest first, and when
// the oldest one's reply is overdue.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/store/redis.h"

struct pending_one {
    redis_on_reply on_reply; // may be NULL
    void *ctx;
    uint64_t sent_ms;
};

// A zeroed struct is a valid empty queue. Waiting are ring[first], count of them,
// round the end.
struct pending {
    struct pending_one *ring;
    size_t size, first, count;
    uint64_t answered_ms; // when one was taken last
};

// Frees the queue and leaves it empty; nobody who waits in it is told.
void pending_fini(struct pending *p);
// The newest. now_ms, here and below: boot time in milliseconds.
void pending_push(struct pending *p, redis_on_reply on_reply, void *ctx, uint64_t now_ms);
// The oldest; count must not be 0.
struct pending_one pending_take(struct pending *p, uint64_t now_ms);
// Redis must have said something within timeout_ms of the oldest's sending and of
// what it said last (heard_ms), and the whole reply within ten times that. When
// that time is over; count must not be 0.
uint64_t pending_due_ms(const struct pending *p, uint64_t heard_ms, uint64_t timeout_ms);
