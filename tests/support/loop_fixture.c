// SPDX-License-Identifier: Apache-2.0
// The loop is turned without blocking, a millisecond apart, so that a check may
// look at anything, also at sockets that the loop does not know.
#include "tests/support/loop_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "tests/support/test.h"

enum { PATIENCE = 10, TURN_MAX_MS = 5, TURNS_MIN = 20 };

static uint64_t awake_us;

void loop_open(uv_loop_t *loop)
{
    assert_int_equal(uv_loop_init(loop), 0);
}

static void print_open(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    print_error("still open: %s%s\n", uv_handle_type_name(handle->type),
                uv_is_closing(handle) ? " (closing)" : "");
}

// check may be NULL.
static void turn(uv_loop_t *loop, bool (*check)(void *ctx), void *ctx)
{
    uint64_t start_us = clock_boot_us();
    uv_run(loop, UV_RUN_NOWAIT);
    if (check == NULL || !check(ctx))
        uv_sleep(1);
    uint64_t took_us = clock_boot_us() - start_us;
    awake_us += took_us < TURN_MAX_MS * 1000 ? took_us : TURN_MAX_MS * 1000;
}

uint64_t loop_awake_ms(void)
{
    return awake_us / 1000;
}

// A machine that stands still eats the clock's time, and none of the loop's own.
bool loop_try_until(uv_loop_t *loop, bool (*check)(void *ctx), void *ctx, unsigned ms)
{
    uint64_t end = clock_boot_ms() + (uint64_t)ms * PATIENCE, awake_end = loop_awake_ms() + ms;
    while (!check(ctx)) {
        if (clock_boot_ms() >= end && loop_awake_ms() >= awake_end)
            return false;
        turn(loop, check, ctx);
    }
    return true;
}

void loop_run_until(uv_loop_t *loop, bool (*check)(void *ctx), void *ctx, unsigned ms)
{
    if (!loop_try_until(loop, check, ctx, ms))
        fail_msg("it did not happen within %u ms", ms * PATIENCE);
}

static bool is_empty(void *loop)
{
    return uv_loop_alive(loop) == 0;
}

void loop_close(uv_loop_t *loop)
{
    (void)loop_try_until(loop, is_empty, loop, 500);
    uv_run(loop, UV_RUN_NOWAIT);
    if (uv_loop_close(loop) != 0) {
        uv_walk(loop, print_open, NULL);
        fail_msg("the loop is not empty");
    }
}

struct counter {
    const size_t *count;
    size_t at_least;
};

static bool is_reached(void *ctx)
{
    const struct counter *c = ctx;
    return *c->count >= c->at_least;
}

bool loop_try_count(uv_loop_t *loop, const size_t *count, size_t at_least, unsigned ms)
{
    struct counter c = {count, at_least};
    return loop_try_until(loop, is_reached, &c, ms);
}

static bool flag_is_set(void *flag)
{
    return *(const bool *)flag;
}

void loop_run_until_set(uv_loop_t *loop, const bool *flag, unsigned ms)
{
    loop_run_until(loop, flag_is_set, (void *)(uintptr_t)flag, ms);
}

void loop_run_for(uv_loop_t *loop, unsigned ms)
{
    uint64_t end = clock_boot_ms() + ms;
    unsigned least = ms < TURNS_MIN ? ms : TURNS_MIN;
    for (unsigned turns = 0; clock_boot_ms() < end || turns < least; turns++)
        turn(loop, NULL, NULL);
}

int loop_fixture_setup(void **state)
{
    uv_loop_t *loop = xmalloc(sizeof(*loop));
    loop_open(loop);
    *state = loop;
    return 0;
}

int loop_fixture_teardown(void **state)
{
    loop_close(*state);
    free(*state);
    return 0;
}
