// SPDX-License-Identifier: Apache-2.0
// Many workers as far as Redis can tell: each has the real feed with its two
// connections, polls, hears the bell and acks, but serves nobody. Whenever all have
// been told to refuse a key, one line says when, in wall-clock microseconds: the
// median, the 99th percentile and the last of them.
//
// usage: sim_workers REDIS_URL COUNT POLL_MS   (until stdin ends)
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "common/base/log.h"
#include "common/store/feed_io.h"

enum { REVISIONS = 256 }; // that may be on their way at once

struct sim_worker {
    struct feed_io *io;
    unsigned number;
    bool live;
};

static struct {
    uv_loop_t loop;
    struct redis_url url;
    struct keyspace keyspace;
    struct sim_worker *workers;
    unsigned count, live;
    struct {
        uint64_t revision;
        unsigned count;
        uint64_t *at_us;
    } told[REVISIONS];
} sim;

static uint64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static unsigned long long us(uint64_t at)
{
    return at;
}

static void on_key_changed(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    (void)ctx;
    (void)key;
    unsigned slot = revision % REVISIONS;
    if (!deny || (sim.told[slot].revision == revision && sim.told[slot].count == sim.count))
        return;
    if (sim.told[slot].revision != revision)
        sim.told[slot].count = 0;
    sim.told[slot].revision = revision;
    uint64_t *at = sim.told[slot].at_us;
    at[sim.told[slot].count++] = wall_us();
    if (sim.told[slot].count < sim.count)
        return;
    qsort(at, sim.count, sizeof(*at), by_time);
    printf("refused %llu %llu %llu %llu\n", us(revision), us(at[sim.count / 2]),
           us(at[sim.count * 99 / 100]), us(at[sim.count - 1]));
    fflush(stdout);
}

static void ignore(void *ctx)
{
    (void)ctx;
}

static void ignore_put(void *ctx, bool staged, struct slice id, struct slice record)
{
    (void)ctx, (void)staged, (void)id, (void)record;
}

static void ignore_begin(void *ctx, bool copy)
{
    (void)ctx, (void)copy;
}

static void ignore_remove(void *ctx, bool staged, struct slice id)
{
    (void)ctx, (void)staged, (void)id;
}

static void describe(void *ctx, struct ack *ack)
{
    const struct sim_worker *w = ctx;
    snprintf(ack->id, sizeof(ack->id), "%08x-%u-1", 0x51000000U + w->number, w->number % 64);
    strcpy(ack->host, "simulated");
    ack->slot = w->number % 64;
    ack->max_stale_s = 5;
}

static void on_change(void *ctx)
{
    struct sim_worker *w = ctx;
    if (w->live || feed_state(feed_io_feed(w->io)) != FEED_LIVE)
        return;
    w->live = true;
    if (++sim.live == sim.count) {
        puts("live");
        fflush(stdout);
    }
}

static void open_worker(unsigned number, uint32_t poll_ms)
{
    static const struct feed_actions actions = {.put_model = ignore_put,
                                                .remove_model = ignore_remove,
                                                .stage_begin = ignore_begin,
                                                .stage_drop = ignore,
                                                .stage_commit = ignore,
                                                .publish = ignore,
                                                .key_changed = on_key_changed,
                                                .keys_unverified = ignore};
    struct sim_worker *w = &sim.workers[number];
    const struct feed_io_options options = {.url = &sim.url,
                                            .keyspace = &sim.keyspace,
                                            .poll_ms = poll_ms,
                                            .repair_wait_ms = 3000,
                                            .actions = &actions,
                                            .ctx = w,
                                            .describe = describe,
                                            .on_change = on_change};
    w->number = number;
    w->io = feed_io_open(&sim.loop, &options);
}

// Nothing is said before leaving: who runs this ends the Redis too.
static void on_stdin(uv_poll_t *poll, int status, int events)
{
    (void)poll, (void)status, (void)events;
    exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    char error[REDIS_URL_ERROR_MAX];
    uv_poll_t input;
    if (argc != 4 || !redis_url_parse(slice_of(argv[1]), &sim.url, error) ||
        !keyspace_init(&sim.keyspace, SLICE_LIT("cm"), sim.url.database)) {
        fputs("usage: sim_workers REDIS_URL COUNT POLL_MS\n", stderr);
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN);
    log_init("sim_workers", "all");
    log_set_level(LOG_LEVEL_ERROR);
    uv_loop_init(&sim.loop);
    sim.count = (unsigned)atoi(argv[2]);
    sim.workers = xcalloc(sim.count, sizeof(*sim.workers));
    for (unsigned i = 0; i < REVISIONS; i++)
        sim.told[i].at_us = xcalloc(sim.count, sizeof(uint64_t));
    for (unsigned i = 0; i < sim.count; i++)
        open_worker(i, (uint32_t)atoi(argv[3]));
    uv_poll_init(&sim.loop, &input, 0);
    uv_poll_start(&input, UV_READABLE, on_stdin);
    return uv_run(&sim.loop, UV_RUN_DEFAULT);
}
