// SPDX-License-Identifier: Apache-2.0
// The journal's way to the disk, off the loop: one sync for all writes that wait
// for it at the same moment.
#pragma once

#include <uv.h>

#include "admin/journal.h"

struct journal_sync;

// Both outlive it. The loop's thread pool does the waiting.
CM_MUST_CHECK struct journal_sync *journal_sync_create(uv_loop_t *loop, struct journal *j);
void journal_sync_destroy(struct journal_sync *s); // when nothing waits; NULL is fine

// on_synced runs exactly once, in a later turn: all that was written to the journal until
// now is on disk, or (on_disk false; logged) may not be. Then it must not be promised, and
// the journal takes no further write before it is (journal.h).
void journal_sync_wait(struct journal_sync *s, void (*on_synced)(void *ctx, bool on_disk),
                       void *ctx);
