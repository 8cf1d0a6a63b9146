// SPDX-License-Identifier: Apache-2.0
// One history. A profile drawn from the seed says what can go wrong in it, how
// slow and how lossy the wires are and how much the log keeps. Some twenty times
// something happens: a write, a request, a fault. Then all is put right, and every
// worker must find to the store's head within a bounded time and answer every key
// as the store has it; one that holds another history must hold it still.
#include "tests/support/feed_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct sim sim;

void sim_trace_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%6u ", sim.now);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void sim_violation(const struct worker *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(sim.why, sizeof(sim.why), format, args);
    va_end(args);
    if (w != NULL && len >= 0 && (size_t)len < sizeof(sim.why))
        snprintf(sim.why + len, sizeof(sim.why) - (size_t)len, " (worker %d at %u)", w->number,
                 sim.now);
    longjmp(*sim.failed, 1);
}

static void draw_profile(void)
{
    static const uint32_t delays[] = {1, 3, 10, 40}, bell_delays[] = {1, 10, 200};
    static const uint32_t losses[] = {0, 0, 80, 256}, pages[] = {1, 2, PAGE};
    sim.faults = 0;
    for (int fault = 0; fault < FAULTS; fault++)
        sim.faults |= (uint32_t)sim_chance(70) << fault;
    sim.delay_max = delays[sim_random(4)];
    sim.bell_delay_max = bell_delays[sim_random(3)];
    sim.bell_loss = losses[sim_random(4)];
    sim.log_page = pages[sim_random(3)];
    sim.scan_page = 1 + sim_random(MODELS);
    sim.worker_count = sim_chance(128) ? 1 : sim_chance(180) ? 2 : 3;
    sim.parted = sim_chance(100);
    sim.slice = sim_chance(128) ? 0 : 1 + sim_random(2 * SECRET_HEX_LEN);
    sim.chaos_left = 10 + (int)sim_random(20);
}

static void start_worker(struct worker *w, int number)
{
    w->number = (uint8_t)number;
    w->bell_path = true;
    w->isolated = false;
    memset(w->forged, 0, sizeof(w->forged));
    w->link = 0;
    host_start(w);
    sim_push_key(w, sim_random(POLL_MS), EVENT_TICK, 0, 0);
    sim_push_key(w, sim_random(30), EVENT_LINK_UP, 0, 0);
}

static void start(uint64_t seed, uint64_t history)
{
    sim.seed = seed;
    sim.history = history;
    // splitmix64 of both; xorshift must not start from 0.
    uint64_t z = seed * UINT64_C(0x9e3779b97f4a7c15) + history * UINT64_C(0xd1b54a32d192ed03);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    sim.random = (z ^ z >> 31) | 1;
    sim.now = 1; // 0 means never to the feed
    sim.order = 0;
    sim.event_count = sim.node_count = 0;
    sim.epochs = 0;
    sim.next_version = 1;
    sim.peace_at = 0;
    draw_profile();
    store_reset();
    for (int i = 0; i < WORKERS; i++)
        disk_reset(&sim.disks[i]);
    for (int i = 0; i < sim.worker_count; i++)
        start_worker(&sim.workers[i], i);
    if (sim_chance(220)) {
        store_init();
        for (uint32_t writes = sim_random(6); writes > 0; writes--)
            store_commit(0);
    }
    sim_push(sim_random(100), EVENT_CHAOS);
}

static void some_fault(struct worker *w)
{
    if (sim.faults == 0)
        return;
    enum fault fault = FAULT_LOSE;
    do
        fault = (enum fault)sim_random(FAULTS);
    while ((sim.faults & 1U << fault) == 0);
    if (fault < FAULT_CUT)
        store_fault(fault);
    else
        net_fault(fault, w);
}

void sim_chaos(void)
{
    struct worker *w = &sim.workers[sim_random((uint32_t)sim.worker_count)];
    uint32_t what = sim_random(100);
    sim.chaos_left--;
    if (sim.peace_at > 0)
        return;
    if (what < 35) {
        if (sim.store.head < 0)
            store_init();
        for (uint32_t writes = sim_chance(40) ? 6 : 1; writes > 0; writes--)
            store_commit((int)sim_random(ADMINS));
    } else if (what < 75) {
        sim_push_key(w, 0, EVENT_REQUEST, (int)sim_random(KEYS), 0);
    } else if (what < 78 && w->stalled_until <= sim.now) {
        host_confirm(w);
    } else if (what < 81) {
        host_evict(w, (int)sim_random(KEYS));
    } else {
        some_fault(w);
    }
    uint32_t pause = sim_chance(180) ? 20 : sim_chance(220) ? 150 : 700;
    sim_push(sim_random(pause), EVENT_CHAOS);
}

static bool all_converged(void)
{
    for (int i = 0; i < sim.worker_count; i++)
        if (!check_converged(&sim.workers[i]))
            return false;
    return true;
}

// Nobody puts anything right for longer than anything may be served.
static void night(void)
{
    uint32_t morning = sim.now + 2 * MAX_STALE_MS;
    sim_trace("night");
    for (int i = 0; i < sim.worker_count; i++)
        for (int k = 0; k < 2 * KEYS; k++)
            sim_push_key(&sim.workers[i], sim_random(2 * MAX_STALE_MS), EVENT_REQUEST, k % KEYS, 0);
    while (sim.now < morning)
        sim_step();
}

static void make_peace(void)
{
    if (sim_chance(20))
        night();
    sim_trace("peace");
    sim.peace_at = sim.now;
    store_heal();
    net_heal();
    // Who is far behind reads an answer for each part of each revision.
    uint32_t reads = 60 + 4 * (uint32_t)sim.node_count;
    uint32_t deadline = sim.now + 3 * REPAIR_WAIT_MS + 10 * POLL_MS + reads * sim.delay_max;
    while (!all_converged()) {
        for (int i = 0; i < sim.worker_count; i++)
            sim_require(sim.now < deadline || check_converged(&sim.workers[i]), &sim.workers[i],
                        "settled: it does not find to the head");
        sim_step();
    }
}

static enum verdict ask_key(struct worker *w, int key)
{
    uint32_t deadline = sim.now + 2 * FILL_MS + 10 * sim.delay_max;
    w->verdicts[key] = NONE_YET;
    sim_push_key(w, 0, EVENT_REQUEST, key, 0);
    while (w->verdicts[key] == NONE_YET) {
        sim_require(sim.now < deadline, w, "reckoning: no answer");
        sim_step();
    }
    return w->verdicts[key];
}

static void reckon_key(struct worker *w, int key)
{
    const struct sim_key *truth = &node_of(sim.store.head)->keys[key];
    const struct entry *e = &w->entries[key];
    bool passed = w->verdicts[key] == PASS, refused = w->verdicts[key] == REFUSE;
    if (truth->standing != KEY_GOOD || e->denied >= truth->revision)
        sim_require(refused, w, "reckoning: key %d is bad but %s", key,
                    passed ? "passes" : "unknown");
    else
        sim_require(passed, w, "reckoning: key %d is good but %s", key,
                    refused ? "is refused" : "unknown");
}

static void wait_for_a_poll(void)
{
    uint32_t until = sim.now + 2 * POLL_MS + 4 * sim.delay_max;
    while (sim.now < until)
        sim_step();
}

static void reckon(struct worker *w)
{
    if (feed_state(w->feed) != FEED_LIVE)
        return; // it holds another history
    for (int k = 0; k < KEYS; k++) {
        // A fill that was begun in worse times may end without an answer, and a feed that
        // has just caught up has its lease from when it began to.
        for (int tries = 0; tries < 3 && ask_key(w, k) == UNKNOWN; tries++)
            wait_for_a_poll();
        reckon_key(w, k);
    }
}

static void count(const struct feed_counters *c)
{
    sim.totals.bells += c->bells;
    sim.totals.gaps += c->gaps;
    sim.totals.reloads += c->reloads;
    sim.totals.reload_aborts += c->reload_aborts;
    sim.totals.digest_mismatches += c->digest_mismatches;
    sim.totals.falls += c->falls;
    sim.totals.suspects += c->suspects;
}

bool feed_model_run(uint64_t seed, uint64_t history, bool tracing)
{
    jmp_buf failed;
    volatile bool ok = false;
    sim.failed = &failed;
    sim.tracing = tracing;
    if (setjmp(failed) == 0) {
        start(seed, history);
        while (sim.chaos_left > 0)
            sim_step();
        make_peace();
        for (int i = 0; i < sim.worker_count; i++)
            reckon(&sim.workers[i]);
        ok = true;
    }
    sim.steps += sim.order;
    for (int i = 0; i < sim.worker_count; i++) {
        if (sim.workers[i].feed != NULL) {
            count(feed_counters(sim.workers[i].feed));
            host_stop(&sim.workers[i]);
        }
    }
    return ok;
}
