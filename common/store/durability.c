// SPDX-License-Identifier: Apache-2.0
// One round is three questions on the link of the writes:
//
//   INFO replication    how much has been written (M), who follows closely
//   WAIT n timeout      until those n have all up to now; makes Redis ask them
//   INFO replication    who has acknowledged M
//
// The truth is the last one: what WAIT returns is not used, it only waits. (M was
// read after the write, so whoever has M has the write.) All three go over the link
// that brought the write's answer: another one may lead to another master by now,
// whose replicas all have what it has and not what we wrote.
//
// Where no replica is connected, the first one is all that there is to know.
//
// WAIT stops its connection until it is over. Therefore it waits only for replicas
// that were heard within REPLICATION_LAG_MAX_S: one that hangs makes writes slower
// for that long, not for as long as it hangs. And therefore there is one round at a
// time: whoever comes during one waits for the next, together with all others.
//
// WAITAOF would tell about disks too, but Redis 7.0 has none; how soon a write is on
// the disk is what `appendfsync` says.
#include "common/store/durability.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/store/later.h"
#include "common/store/replication.h"

enum { TIMEOUT_MAX_MS = 1000 };

struct waiter {
    struct waiter *next;
    void (*on_done)(void *ctx, const struct durability_answer *answer);
    void *ctx;
    uint32_t timeout_ms;
};

struct durability {
    struct redis *r;
    const struct sentinel *sentinel;
    bool running;
    struct waiter *served, *waiting; // by this round; by the next one
    struct replication before;
};

static const char *const level_names[] = {
    [DURABILITY_LOCAL] = "local", [DURABILITY_SOME] = "some", [DURABILITY_ALL] = "all"};

const char *durability_level_name(enum durability_level level)
{
    return level_names[level];
}

struct durability *durability_create(struct redis *r, const struct sentinel *s)
{
    struct durability *d = xcalloc(1, sizeof(*d));
    d->r = r;
    d->sentinel = s;
    return d;
}

void durability_destroy(struct durability *d)
{
    if (d == NULL)
        return;
    CM_ASSERT(!d->running && d->waiting == NULL);
    free(d);
}

// --- a round

static void start_round(void *ctx);

static void finish_round(struct durability *d, const struct durability_answer *answer)
{
    struct waiter *served = d->served;
    d->served = NULL;
    while (served != NULL) {
        struct waiter *next = served->next;
        served->on_done(served->ctx, answer);
        free(served);
        served = next;
    }
    d->running = d->waiting != NULL;
    if (d->running)
        later_run(redis_loop(d->r), start_round, d);
}

static void give_up(struct durability *d)
{
    finish_round(d, &(struct durability_answer){.level = DURABILITY_LOCAL});
}

static void on_give_up(void *ctx)
{
    give_up(ctx);
}

static size_t known_replicas(const struct durability *d, size_t connected)
{
    size_t known = d->sentinel != NULL ? sentinel_replicas(d->sentinel) : 0;
    return known != SENTINEL_REPLICAS_UNKNOWN && known > connected ? known : connected;
}

static enum durability_level level_of(const struct durability_answer *a)
{
    if (a->confirmed == 0)
        return DURABILITY_LOCAL;
    return a->confirmed >= a->replicas ? DURABILITY_ALL : DURABILITY_SOME;
}

static bool is_text(const struct redisReply *reply)
{
    return reply != NULL && !reply_is_error(reply);
}

static void on_after(void *ctx, const struct redisReply *reply)
{
    struct durability *d = ctx;
    struct replication now;
    if (!is_text(reply) || !replication_parse(reply_bytes(reply), &now) || !now.master) {
        give_up(d);
        return;
    }
    struct durability_answer answer = {.known = true};
    answer.replicas = known_replicas(d, now.replicas);
    answer.confirmed = replication_holders(reply_bytes(reply), d->before.offset);
    answer.level = level_of(&answer);
    finish_round(d, &answer);
}

static uint32_t longest_timeout(const struct durability *d)
{
    uint32_t longest = 0;
    for (const struct waiter *w = d->served; w != NULL; w = w->next)
        longest = w->timeout_ms > longest ? w->timeout_ms : longest;
    return longest;
}

static void on_before(void *ctx, const struct redisReply *reply)
{
    struct durability *d = ctx;
    char count[24], timeout[16];
    if (!is_text(reply) || !replication_parse(reply_bytes(reply), &d->before) ||
        redis_room(d->r) < 2) {
        give_up(d);
        return;
    }
    if (d->before.master && d->before.replicas == 0) { // nobody to wait for
        struct durability_answer alone = {.known = true, .replicas = known_replicas(d, 0)};
        alone.level = level_of(&alone);
        finish_round(d, &alone);
        return;
    }
    snprintf(count, sizeof(count), "%zu", d->before.good);
    snprintf(timeout, sizeof(timeout), "%" PRIu32, longest_timeout(d));
    const struct slice wait[] = {SLICE_LIT("WAIT"), slice_of(count), slice_of(timeout)};
    const struct slice info[] = {SLICE_LIT("INFO"), SLICE_LIT("replication")};
    bool sent = redis_command(d->r, CM_ARRAY_LEN(wait), wait, NULL, NULL) &&
                redis_command(d->r, CM_ARRAY_LEN(info), info, on_after, d);
    CM_ASSERT(sent);
}

static void start_round(void *ctx)
{
    struct durability *d = ctx;
    const struct slice info[] = {SLICE_LIT("INFO"), SLICE_LIT("replication")};
    d->served = d->waiting;
    d->waiting = NULL;
    if (!redis_command(d->r, CM_ARRAY_LEN(info), info, on_before, d))
        later_run(redis_loop(d->r), on_give_up, d);
}

void durability_wait(struct durability *d, uint32_t timeout_ms,
                     void (*on_done)(void *ctx, const struct durability_answer *answer), void *ctx)
{
    CM_ASSERT(timeout_ms > 0 && timeout_ms <= TIMEOUT_MAX_MS);
    struct waiter *w = xmalloc(sizeof(*w));
    *w = (struct waiter){
        .next = d->waiting, .on_done = on_done, .ctx = ctx, .timeout_ms = timeout_ms};
    d->waiting = w;
    if (d->running)
        return;
    d->running = true;
    later_run(redis_loop(d->r), start_round, d);
}
