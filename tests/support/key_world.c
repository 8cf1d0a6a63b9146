// SPDX-License-Identifier: Apache-2.0
#include "tests/support/key_world.h"

#include <stdio.h>
#include <string.h>

struct key_world world;

static void on_sense(void *ctx, struct key_sense *out)
{
    (void)ctx;
    *out = world.now;
}

static bool on_read_key(void *ctx, const struct secret_digest *digest,
                        void (*on_read)(void *reader, const struct key_read *result), void *reader)
{
    (void)ctx;
    if (world.refuse_reads)
        return false;
    assert_true(world.now.up);
    assert_true(world.read_count < WORLD_READS_MAX);
    world.reads[world.read_count].digest = *digest;
    world.reads[world.read_count].on_read = on_read;
    world.reads[world.read_count].reader = reader;
    world.read_count++;
    world.sent++;
    return true;
}

static bool on_has_passed(void *ctx, uint64_t epoch, uint64_t revision, uint64_t change)
{
    const struct feed_position *at = &world.now.position;
    (void)ctx;
    return epoch == at->epoch && revision <= at->revision && change == 1000 + revision;
}

static void on_confirm(void *ctx)
{
    (void)ctx;
    world.confirms++;
}

static void on_wake_at(void *ctx, uint64_t at_ms)
{
    (void)ctx;
    world.alarm_ms = at_ms;
}

const struct key_source world_source = {on_sense, on_read_key, on_has_passed, on_confirm,
                                        on_wake_at};

void world_move_to(uint64_t epoch, uint64_t revision)
{
    world.now.position.epoch = epoch;
    world.now.position.revision = revision;
    world.now.position.change = 1000 + revision;
    world.now.told_revision = revision;
}

void world_reset(void)
{
    memset(&world, 0, sizeof(world));
    world.now.now_ms = 100000;
    world.now.confirmed_ms = 100000;
    world.now.wall_s = 1700000000;
    world.now.up = true;
    world.now.state = FEED_LIVE;
    world_move_to(WORLD_EPOCH, WORLD_REVISION);
}

struct secret_digest world_digest(unsigned n)
{
    struct secret_digest d = {{0}};
    memcpy(d.bytes + 3, &n, sizeof(n));
    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

void world_answer(const struct key_read *result)
{
    assert_true(world.read_count > 0);
    void (*on_read)(void *reader, const struct key_read *result) = world.reads[0].on_read;
    void *reader = world.reads[0].reader;
    world.read_count--;
    memmove(&world.reads[0], &world.reads[1], world.read_count * sizeof(world.reads[0]));
    on_read(reader, result);
}

void world_answer_failed(void)
{
    world_answer(&(struct key_read){.status = KEY_READ_FAILED});
}

void world_answer_absent(uint64_t revision)
{
    world_answer(&(struct key_read){.status = KEY_READ_ABSENT,
                                    .epoch = WORLD_EPOCH,
                                    .revision = revision,
                                    .change = 1000 + revision});
}

void world_answer_found(uint64_t revision, const char *state, uint64_t rev)
{
    char record[160];
    snprintf(record, sizeof(record),
             "{\"rev\":%llu,\"id\":\"key_01ARYZ6S41TSV4RRFFQ69G5FAV\",\"state\":\"%s\"}",
             (unsigned long long)rev, state);
    world_answer(&(struct key_read){.status = KEY_READ_FOUND,
                                    .epoch = WORLD_EPOCH,
                                    .revision = revision,
                                    .change = 1000 + revision,
                                    .record = slice_of(record)});
}
