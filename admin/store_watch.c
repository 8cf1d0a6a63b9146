// SPDX-License-Identifier: Apache-2.0
// Once a second the head is read; that is what readiness means. After each
// connect Redis is asked how it would treat our data, and the fleet's mirror is
// read, so that a worker which was there before us counts.
//
// The first history is made only when there is certainly none: no head now, none
// ever seen by this process, and for FIRST_WAIT_MS of listening no worker that
// holds a catalog. (Workers that never had one do not count: on a first start
// they are there before us, and wait.)
#include "admin/store_watch.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/model/ack.h"
#include "common/store/commit.h"
#include "common/store/fetch.h"
#include "common/store/reply.h"

enum { FIRST_WAIT_MS = 3000, READ_EVERY_MS = 1000, READ_SOON_MS = 100, UNFIT_RECHECK_MS = 5000 };

struct store_watch {
    struct store_watch_options options;
    bool checked;  // Redis' own settings, at least once
    bool reading;  // the head
    bool creating; // the history
    bool ready;
    uint64_t revision;
    uint64_t next_read_ms, next_check_ms;
    uint64_t listening_since_ms; // 0 = not listening
    struct fetch *fetch;
    size_t fleet_slot;
};

struct store_watch *store_watch_create(const struct store_watch_options *options)
{
    struct store_watch *w = xcalloc(1, sizeof(*w));
    w->options = *options;
    return w;
}

void store_watch_destroy(struct store_watch *w)
{
    if (w == NULL)
        return;
    if (w->fetch != NULL)
        fetch_destroy(w->fetch);
    free(w);
}

bool store_watch_is_ready(const struct store_watch *w)
{
    return w->ready && w->options.guard->policy_good && redis_is_up(w->options.data);
}

uint64_t store_watch_revision(const struct store_watch *w)
{
    return w->revision;
}

// --- how Redis would treat our data

// The value of "name:value\r\n" in an INFO text; ptr NULL when it is not there.
static struct slice info_field(struct slice text, const char *name)
{
    while (text.len > 0) {
        struct slice value = slice_trim(slice_take(&text, '\n'));
        if (slice_equal(slice_take(&value, ':'), slice_of(name)))
            return value;
    }
    return SLICE_NONE;
}

static void on_memory(void *ctx, const struct redisReply *reply)
{
    struct store_watch *w = ctx;
    if (reply == NULL)
        return;
    struct slice policy = info_field(reply_bytes(reply), "maxmemory_policy");
    bool first = !w->checked;
    w->checked = true;
    w->options.guard->policy_good =
        policy.ptr == NULL || slice_equal(policy, SLICE_LIT("noeviction"));
    if (policy.ptr == NULL)
        LOG_WARN("redis_policy_unknown", LOG_STR("redis", reply_bytes(reply)));
    if (w->options.guard->policy_good)
        return;
    LOG_ERROR("redis_may_evict", LOG_STR("maxmemory_policy", policy),
              LOG_CSTR("hint", "set maxmemory-policy noeviction: keys must never be evicted"));
    if (first)
        w->options.on_unfit(w->options.ctx);
}

static void on_persistence(void *ctx, const struct redisReply *reply)
{
    (void)ctx;
    if (reply != NULL && slice_equal(info_field(reply_bytes(reply), "aof_enabled"), SLICE_LIT("0")))
        LOG_WARN("redis_without_aof",
                 LOG_CSTR("hint", "set appendonly yes: a restart of Redis loses answered writes"));
}

static void check_settings(struct store_watch *w)
{
    const struct slice memory[] = {SLICE_LIT("INFO"), SLICE_LIT("memory")};
    const struct slice persistence[] = {SLICE_LIT("INFO"), SLICE_LIT("persistence")};
    if (redis_command(w->options.data, 2, memory, on_memory, w))
        (void)!redis_command(w->options.data, 2, persistence, on_persistence, w);
}

// --- the head

static void on_created(void *ctx, enum commit_status status)
{
    struct store_watch *w = ctx;
    w->creating = false;
    w->next_read_ms = 0;
    if (status == COMMIT_OK)
        LOG_INFO("history_created", LOG_U64("revision", 0));
    else
        LOG_WARN("history_not_created", LOG_I64("status", status));
}

static void create_if_first(struct store_watch *w, uint64_t now_ms)
{
    const struct store_watch_options *o = &w->options;
    if (w->creating || o->guard->epoch != 0 || !o->guard->policy_good ||
        w->listening_since_ms == 0 || now_ms - w->listening_since_ms < FIRST_WAIT_MS ||
        roster_knows_history(o->roster, 0))
        return;
    w->creating = true;
    commit_init_history(o->data, o->keyspace, on_created, w);
}

static void load_fleet(struct store_watch *w, uint64_t now_ms)
{
    int64_t wall_ms = clock_wall_ms();
    for (size_t i = 0; i + 1 < fetch_list_count(w->fetch, w->fleet_slot); i += 2) {
        struct ack ack;
        if (ack_parse(fetch_list_at(w->fetch, w->fleet_slot, i + 1), &ack))
            roster_load(w->options.roster, &ack, now_ms, wall_ms);
    }
}

static void judge_head(struct store_watch *w, bool ok, uint64_t now_ms)
{
    struct problem problem = {.code = PROBLEM_NONE};
    struct head head = {.revision = 0};
    enum head_status status = ok ? fetch_head(w->fetch, &head) : HEAD_ABSENT;
    bool was_ready = w->ready;
    if (ok)
        load_fleet(w, now_ms); // before the judgement: who is there is evidence
    w->ready = guard_write(w->options.guard, ok, status, &head, &problem);
    if (w->ready)
        w->revision = head.revision;
    if (was_ready && !w->ready)
        LOG_WARN("store_not_ready", LOG_STR("why", buf_slice(&problem.detail)));
    if (!was_ready && w->ready)
        LOG_INFO("store_ready", LOG_U64("revision", head.revision));
    if (ok && status == HEAD_ABSENT)
        create_if_first(w, now_ms);
    w->next_read_ms = now_ms + (w->ready ? READ_EVERY_MS : READ_SOON_MS);
    problem_fini(&problem);
}

static void on_read(void *ctx, bool ok)
{
    struct store_watch *w = ctx;
    w->reading = false;
    judge_head(w, ok, clock_boot_ms());
}

static void read_head(struct store_watch *w)
{
    if (w->fetch != NULL)
        fetch_destroy(w->fetch);
    w->fetch = fetch_create(w->options.data, w->options.keyspace);
    w->fleet_slot = fetch_fleet(w->fetch);
    w->reading = true;
    fetch_send(w->fetch, on_read, w);
}

// --- events

void store_watch_on_data(struct store_watch *w, bool up)
{
    w->next_read_ms = 0;
    if (up)
        check_settings(w);
    else
        w->ready = false;
}

void store_watch_on_subscription(struct store_watch *w, bool up, uint64_t now_ms)
{
    w->listening_since_ms = up ? now_ms : 0;
}

void store_watch_tick(struct store_watch *w, uint64_t now_ms)
{
    if (!redis_is_up(w->options.data))
        return;
    if (w->checked && !w->options.guard->policy_good && now_ms >= w->next_check_ms) {
        w->next_check_ms = now_ms + UNFIT_RECHECK_MS;
        check_settings(w);
    }
    if (!w->reading && !w->creating && now_ms >= w->next_read_ms)
        read_head(w);
}
