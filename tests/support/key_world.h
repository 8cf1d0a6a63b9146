// SPDX-License-Identifier: Apache-2.0
// A store as keys see it, by hand: what the feed says now, reads that wait until
// the test answers them, and confirmations and alarms that are only counted.
// One world at a time. At the start: live at epoch 1, revision 10, confirmed.
#pragma once

#include "services/key_gate.h"
#include "tests/support/test.h"

enum { WORLD_EPOCH = 1, WORLD_REVISION = 10, WORLD_POLL_MS = 250, WORLD_READS_MAX = 2048 };

struct key_world {
    struct key_sense now;
    bool refuse_reads;
    size_t read_count; // reads that wait for an answer, oldest first
    struct {
        struct secret_digest digest;
        void (*on_read)(void *reader, const struct key_read *result);
        void *reader;
    } reads[WORLD_READS_MAX];
    unsigned sent;     // reads so far
    unsigned confirms; // asked for so far
    uint64_t alarm_ms; // the last wish; 0 = none yet
};

extern struct key_world world;
extern const struct key_source world_source; // its ctx is not used

void world_reset(void);
struct secret_digest world_digest(unsigned n);
// The feed stands there now; the change of a revision is 1000 + revision.
void world_move_to(uint64_t epoch, uint64_t revision);

// Answers to the oldest read. revision: of the head that it saw, in this world's
// epoch. state: "active", "disabled", "revoked", "garbage"; rev: the record's own.
void world_answer_failed(void);
void world_answer_absent(uint64_t revision);
void world_answer_found(uint64_t revision, const char *state, uint64_t rev);
void world_answer(const struct key_read *result);
