// SPDX-License-Identifier: Apache-2.0
// A uv loop for one test: turned until something is true, and empty at the end.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

// Fails the test when the loop cannot be made.
void loop_open(uv_loop_t *loop);
// Turns the loop until it is empty and closes it; fails the test when handles
// stay open for some seconds.
void loop_close(uv_loop_t *loop);
// Turns the loop until check(ctx) holds; fails the test when it does not. ms is what
// that takes at most on a machine of our own; ten times as much is waited, because
// others may load it.
void loop_run_until(uv_loop_t *loop, bool (*check)(void *ctx), void *ctx, unsigned ms);
// The same for a flag that a callback sets.
void loop_run_until_set(uv_loop_t *loop, const bool *flag, unsigned ms);
// The same without failing: does it hold in time?
bool loop_try_until(uv_loop_t *loop, bool (*check)(void *ctx), void *ctx, unsigned ms);
bool loop_try_count(uv_loop_t *loop, const size_t *count, size_t at_least, unsigned ms);
// Turns the loop for that time, and that often or 20 times at least: on a machine that
// stands still just then, whatever this process says to itself is heard all the same.
void loop_run_for(uv_loop_t *loop, unsigned ms);
// The time that these have turned loops for, where a turn that takes longer than 5 ms
// (the machine did something else) counts 5. What has to happen in time, with all
// that it takes in this process, is measured with it; that nothing happens too soon, with
// clock_boot_ms().
uint64_t loop_awake_ms(void);

// cmocka's setup and teardown for a test that needs only a loop: *state is it.
int loop_fixture_setup(void **state);
int loop_fixture_teardown(void **state);
