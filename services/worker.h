// SPDX-License-Identifier: Apache-2.0
// One worker process: loop, feed, catalog, key cache, public API. It starts
// clean (fork and exec) and gets all of the following from the supervisor.
#pragma once

#include <stdint.h>

#include "services/heritage.h"
#include "services/settings.h"
#include "services/shm.h"
#include "services/tls_vault.h"

struct worker_start {
    const struct settings *settings;
    unsigned slot;
    uint64_t incarnation;
    const char *id; // "<8 hex of the supervisor's instance>-<slot>-<incarnation>"
    struct shm *shm;
    // Its own. block->replaces may rise while it runs: in a roll the predecessor
    // ends after the successor has started. Every ack names it, by
    // heritage_id(heritage, block->replaces, ...) ("" for 0): the roster then
    // forgets that incarnation of the slot and all before it.
    struct shm_block *block;
    const struct heritage *heritage;
    // Listening sockets of all slots, shm_slots of them. Every worker holds all;
    // it accepts on listeners[slot], and on a neighbour's while that slot is not
    // covered (shm_slot_covered). When it drains it stops listening and closes
    // them all, so that the kernel refuses once nobody is left.
    const int *listeners;
    const int *tls_listeners; // the same for TLS; there when settings_has_tls
    const struct tls_vault *vault;
};

// Serves until HERITAGE_DISMISS, then drains: not ready, stops accepting, finishes what is
// in flight, cuts what is left shortly before block->deadline_ms (0: the
// settings' drain time from now), says bye. Returns the exit status.
//
// SIGINT and SIGHUP are ignored when it starts (the supervisor decides). block->heartbeat_ms is
// kept fresh, or the supervisor kills it.
int worker_run(const struct worker_start *start);
