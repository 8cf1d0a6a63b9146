// SPDX-License-Identifier: Apache-2.0
// "In the next turn of the loop": for an answer that is known at once, because a
// completion never runs before its starter has returned.
#pragma once

#include <uv.h>

// Runs fn(ctx) exactly once, in the next turn of the loop. Cannot be taken back.
void later_run(uv_loop_t *loop, void (*fn)(void *ctx), void *ctx);
