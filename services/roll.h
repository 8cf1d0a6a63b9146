// SPDX-License-Identifier: Apache-2.0
// Replacing the children one by one without losing a connection (SIGUSR2): the
// workers, then the ops child.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "services/crew.h"

enum roll_step { ROLL_IDLE, ROLL_NEXT, ROLL_WAIT_ABLE, ROLL_WAIT_GONE };

// Zeroed = idle.
struct roll {
    enum roll_step step;
    bool again; // asked for once more meanwhile
    unsigned slot;
    uint64_t deadline_ms;
};

// Begins it, with the program that is to be found at its path by now; or notes
// that it is to begin once more when the one that is going on is done.
void roll_request(struct roll *r, struct crew *c);
// Takes the next step if it is due. slots: the ops child's too. drain_ms: what the
// old one gets to leave.
void roll_tick(struct roll *r, struct crew *c, unsigned slots, uint64_t drain_ms, uint64_t now_ms);
