// SPDX-License-Identifier: Apache-2.0
// The mapping that supervisor, workers and ops child share: who lives in which
// slot, how it is, and its metric values. Nothing in it is ever waited for.
//
// A slot has two blocks, because a replacement starts before its predecessor has
// left. Slots 0..slots-1 are workers; slot `slots` is the ops child. The
// supervisor alone gives a block away, folds its counters into the totals when
// its incarnation has ended, and clears it for the next.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "services/metrics_table.h"

enum {
    SHM_BLOCKS_PER_SLOT = 2,
    SHM_STALL_MS = 1000, // a loop that has not turned for so long gets help
    SHM_SILENT_MS = 5000 // and after this it is given up
};

// Written by its process except where noted. Relaxed atomics: readers want
// recent values, not a consistent set.
struct shm_block {
    _Alignas(64) _Atomic int32_t pid; // supervisor; 0 = vacant
    _Atomic uint64_t incarnation;     // supervisor
    _Atomic uint64_t replaces;     // supervisor: the latest incarnation of the slot that has ended
    _Atomic uint64_t deadline_ms;  // supervisor, with its dismissal: boot time to have left by
    _Atomic uint64_t heartbeat_ms; // boot time of the loop's last turn; at least every 500 ms
    _Atomic bool accepting;        // it takes connections from its own slot's socket
    _Atomic bool ready;            // it has a catalog and is not draining
    _Atomic bool draining;
    _Atomic uint32_t feed_state;  // enum feed_state
    _Atomic uint32_t feed_reason; // enum feed_reason
    _Atomic uint64_t epoch;
    _Atomic uint64_t revision;
    _Atomic uint64_t confirmed_ms; // boot time of the last confirmed read; 0 = never
    _Atomic bool from_disk;        // what it serves is its snapshot, not confirmed yet
    _Atomic uint64_t saved_ms;     // as keeper_counters
    _Atomic uint64_t applying;     // what would be to blame if it died now; 0 = nothing
    metric_value metrics[METRIC_ROWS];
};

struct shm;

// What the mapping of this program looks like: processes of two programs can
// share one only if these words are the same. NUL-ended.
enum { SHM_LAYOUT_MAX = 64 };
void shm_layout(char out[SHM_LAYOUT_MAX]);

// Supervisor: makes the mapping for that many workers. *fd is its memfd, close-on-exec.
// NULL with errno set on failure.
CM_MUST_CHECK struct shm *shm_create(unsigned slots, int *fd);
// Child: maps an inherited one. NULL when its layout is not this program's.
CM_MUST_CHECK struct shm *shm_attach(int fd);
void shm_detach(struct shm *m); // NULL is fine

// Of workers.
unsigned shm_slots(const struct shm *m);
// index 0..SHM_BLOCKS_PER_SLOT-1; slot 0..shm_slots (the last is the ops child's).
struct shm_block *shm_block(struct shm *m, unsigned slot, unsigned index);

// Somebody takes connections from that slot's socket: an accepting worker whose
// loop turned within SHM_STALL_MS. Neighbours look every 50 ms and help out
// with a slot that has not been covered for more than 100 ms.
bool shm_slot_covered(const struct shm *m, unsigned slot, uint64_t now_ms);

// The whole service is leaving (set by the supervisor at the first SIGTERM).
bool shm_draining(const struct shm *m);
void shm_set_draining(struct shm *m);
// What is logged, by all processes; children look at every beat.
enum log_level shm_log_level(const struct shm *m);
void shm_set_log_level(struct shm *m, enum log_level level);
// Reloads of the certificate since the start.
struct shm_reloads {
    uint64_t taken, refused;
};
struct shm_reloads shm_reloads(const struct shm *m);
void shm_count_reload(struct shm *m, bool taken);
// Children that ended without being asked to, since the start.
uint64_t shm_restarts(const struct shm *m);

// How often a worker died unasked while applying that.
unsigned shm_crashes(const struct shm *m, uint64_t what);

// Supervisor: claims a vacant block for a child about to start; fold ends it:
// its counters join the totals and the block is vacant again.
void shm_block_claim(struct shm_block *b, uint64_t incarnation, uint64_t replaces);
void shm_block_fold(struct shm *m, struct shm_block *b, bool unexpected);
// Counter rows: folded ones plus those of all live blocks, never falling between
// two calls. Gauge rows are 0.
void shm_totals(const struct shm *m, uint64_t totals[METRIC_ROWS]);
