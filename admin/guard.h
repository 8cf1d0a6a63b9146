// SPDX-License-Identifier: Apache-2.0
// May this store be read, may it be written? It must hold the history that we
// know, as far as we know it, in a format that we know.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/problem.h"
#include "admin/records.h"
#include "admin/roster.h"
#include "common/model/head.h"

enum guard_reason {
    GUARD_FINE,
    GUARD_EMPTY,        // no head
    GUARD_FOREIGN,      // another history, or nothing of ours
    GUARD_WENT_BACK,    // our history, but lower
    GUARD_DIVERGED,     // our history, but another change where we know one
    GUARD_NEWER_FORMAT, // written by a newer program
};

struct guard {
    const struct roster *roster;
    struct head known;        // the newest head that is ours; epoch 0 = none yet
    bool policy_good;         // maxmemory-policy is noeviction
    bool looked;              // the store was judged since the connection came up
    enum guard_reason reason; // as of the last look
    int64_t answered_ms;      // wall clock: when the store last did; 0 = never
    // What it holds, as of the last look (raw, for whoever has to decide about it).
    enum head_status found_status;
    struct head found;
};

// "", "empty", "foreign", "went_back", "diverged", "newer_format"
const char *guard_reason_name(enum guard_reason reason);

// What a head means, held against the known one. GUARD_FINE says for a head
// beyond the known one only that nothing in it speaks against it.
enum guard_reason guard_judge(const struct guard *g, enum head_status status,
                              const struct head *head);
// Has anybody here ever seen a history?
bool guard_knows_history(const struct guard *g);
// The last look: what the store is until the next one.
void guard_look(struct guard *g, enum guard_reason reason, enum head_status status,
                const struct head *head);

// A write made this head: it is ours.
void guard_adopt(struct guard *g, const struct head *head);

// Nothing is known but what was known before: the store does not answer (ok is false),
// and was not found suspect since the connection came up.
bool guard_is_away(const struct guard *g, bool ok);
// ok: the store answered. False with *problem set (store_unavailable or
// store_suspect).
CM_MUST_CHECK bool guard_read(const struct guard *g, bool ok, enum head_status status,
                              const struct head *head, struct problem *problem);
CM_MUST_CHECK bool guard_write(const struct guard *g, bool ok, enum head_status status,
                               const struct head *head, struct problem *problem);
// Appends what is known and what is there: {"state":"good"|"suspect"|"away","reason",
// "known":{"epoch","revision"},"found":{...},"last_seen_at","records":{"models","keys"}},
// null where there is none, and records also where Redis did not tell (records NULL: not
// at all). found is the head's alone: a store whose head is gone may have all its records.
// Away: reason and found are as of last_seen_at.
void guard_write_state(const struct guard *g, bool away, const struct record_counts *records,
                       struct buf *out);
