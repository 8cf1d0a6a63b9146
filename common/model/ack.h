// SPDX-License-Identifier: Apache-2.0
// What a worker tells the admins on the ack channel: hello, its state, bye.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"

enum ack_kind { ACK_HELLO, ACK_STATE, ACK_BYE };

enum { ACK_ID_MAX = 48, ACK_HOST_MAX = 64, ACK_WORD_MAX = 24 };

// Strings are NUL-ended.
struct ack {
    enum ack_kind kind;
    char id[ACK_ID_MAX + 1];       // instance-slot-incarnation, never reused
    char replaces[ACK_ID_MAX + 1]; // the latest in its slot that has ended, or ""
    char host[ACK_HOST_MAX + 1];
    uint64_t slot;
    uint64_t epoch; // 0 while it has no catalog
    uint64_t revision;
    char state[ACK_WORD_MAX + 1];  // feed_state_name
    char reason[ACK_WORD_MAX + 1]; // feed_reason_name, or ""
    int64_t confirmed_ms;          // wall time of the last confirmed read; 0 = never
    int64_t sent_ms;               // wall time of this message
    uint64_t max_stale_s;          // the worker's CM_MAX_STALE_S; 0 = for ever
    uint64_t rejected;             // model records that it does not show: they are invalid ...
    uint64_t poisoned;             // ... or have crashed a worker twice
    bool from_disk;                // what it serves is its snapshot, not confirmed yet
    int64_t saved_ms;              // wall time at which all was on its disk; 0 = never
    uint64_t save_errors;          // writes of its state that failed, since its start
};

// JSON object in, JSON object out. parse is false for anything that is no ack.
CM_MUST_CHECK bool ack_parse(struct slice text, struct ack *out);
void ack_write(struct buf *out, const struct ack *ack);
