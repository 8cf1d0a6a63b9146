// SPDX-License-Identifier: Apache-2.0
// The rules of judgement, in their order:
//
//   denied and not changed since            refused, whatever else
//   changed since it was read (dirty)       read first
//   unverified (a reload came between)      read first; as it is while the store
//                                           cannot be asked, by the lease from
//                                           before the reload
//   ahead of the catalog                    read first (the fill waits for the catalog)
//   lease older than max_stale_s            unknown
//   lease older than three polls            confirm first, for at most 50 ms: after a
//                                           pause of this process one answer tells
//                                           what was missed
//   state and expiry of the record          granted or refused
//
// An absence is used only while the feed is confirmed. A question goes from
// "confirm first" to "read first" to its verdict, never back, so it ends.
//
// When the store does not confirm in time, the next second's requests do not
// wait for it: they are judged by what is known, as in an outage.
#include "services/key_gate.h"

#include <stdlib.h>

enum { GIVE_UP_MS = 1000 };

enum stage { STAGE_FIRST, STAGE_CONFIRMED, STAGE_READ };

struct key_gate {
    struct key_gate_options options;
    struct key_cache *cache;
    struct key_fill *fill;
    struct key_question *confirm_first, **confirm_last;
    size_t confirm_count;
    uint64_t confirm_deadline_ms; // of the first; UINT64_MAX = none
    uint64_t no_confirm_before_ms;
    uint64_t alarm_ms;
    enum key_doubt doubt; // of the last verdict
    struct key_gate_counters counters;
};

struct key_gate *key_gate_create(const struct key_gate_options *options)
{
    struct key_gate *g = xcalloc(1, sizeof(*g));
    g->options = *options;
    g->cache = key_cache_create(options->cache_bytes);
    g->fill = key_fill_create(options->source, options->ctx, g->cache);
    g->confirm_last = &g->confirm_first;
    g->confirm_deadline_ms = UINT64_MAX;
    g->alarm_ms = UINT64_MAX;
    return g;
}

static void sense(const struct key_gate *g, struct key_sense *now)
{
    g->options.source->sense(g->options.ctx, now);
}

static void set_alarm(struct key_gate *g)
{
    uint64_t at = key_fill_deadline(g->fill);
    if (g->confirm_deadline_ms < at)
        at = g->confirm_deadline_ms;
    if (at != g->alarm_ms && at != UINT64_MAX)
        g->options.source->wake_at(g->options.ctx, at);
    g->alarm_ms = at;
}

// -- judging ----------------------------------------------------------------

static bool can_ask(const struct key_sense *now)
{
    return now->up && (now->state == FEED_LIVE || now->state == FEED_CATCHUP);
}

// Since a confirmation; 0 = never.
static uint64_t age_ms(const struct key_sense *now, uint64_t confirmed_ms)
{
    if (confirmed_ms == 0)
        return UINT64_MAX;
    return now->now_ms > confirmed_ms ? now->now_ms - confirmed_ms : 0;
}

static bool is_fresh(const struct key_gate *g, const struct key_sense *now)
{
    return age_ms(now, now->confirmed_ms) <= g->options.poll_ms * KEY_LEASE_POLLS;
}

// A reload confirms the feed, not what was read before it.
static bool is_too_old(const struct key_gate *g, const struct key_entry *e,
                       const struct key_sense *now)
{
    uint64_t confirmed_ms = key_cache_confirmed_ms(g->cache, e, now->confirmed_ms);
    return g->options.max_stale_s > 0 && age_ms(now, confirmed_ms) > g->options.max_stale_s * 1000;
}

static bool must_confirm(const struct key_gate *g, const struct key_sense *now, enum stage stage)
{
    return stage == STAGE_FIRST && !is_fresh(g, now) && can_ask(now) &&
           now->now_ms >= g->no_confirm_before_ms;
}

static bool must_read(const struct key_gate *g, const struct key_entry *e,
                      const struct key_sense *now)
{
    bool verified = key_cache_is_verified(g->cache, e);
    if (e->dirty || !can_ask(now))
        return e->dirty;
    return !verified || (e->kind == KEY_ENTRY_KNOWN && e->as_of > now->position.revision);
}

static enum key_verdict unknown(struct key_gate *g, enum key_doubt doubt)
{
    g->doubt = doubt;
    return KEY_UNKNOWN;
}

static enum key_verdict judge_known(struct key_gate *g, const struct key_entry *e,
                                    const struct key_sense *now, enum stage stage)
{
    if (must_read(g, e, now))
        return KEY_LATER_READ;
    if (is_too_old(g, e, now))
        return unknown(g, KEY_DOUBT_LEASE_OVER);
    if (must_confirm(g, now, stage))
        return KEY_LATER_CONFIRM;
    return key_passes(e->key, now->wall_s) ? KEY_GRANTED : KEY_REFUSED;
}

static enum key_verdict judge_absent(const struct key_gate *g, const struct key_entry *e,
                                     const struct key_sense *now, enum stage stage)
{
    bool usable = key_cache_is_verified(g->cache, e) && can_ask(now) && is_fresh(g, now);
    return usable || stage == STAGE_READ ? KEY_REFUSED : KEY_LATER_READ;
}

static enum key_verdict judge(struct key_gate *g, const struct secret_digest *digest,
                              const struct key_sense *now, enum stage stage,
                              struct key_entry **entry)
{
    g->doubt = KEY_DOUBT_NONE;
    if (now->state == FEED_EMPTY)
        return unknown(g, KEY_DOUBT_NO_CATALOG);
    struct key_entry *e = key_cache_find(g->cache, digest, now->now_ms);
    *entry = e;
    if (e == NULL)
        return KEY_LATER_READ;
    switch (e->kind) {
    case KEY_ENTRY_DENIED:
        return must_read(g, e, now) ? KEY_LATER_READ : KEY_REFUSED;
    case KEY_ENTRY_ABSENT:
        return judge_absent(g, e, now, stage);
    default:
        return judge_known(g, e, now, stage);
    }
}

static void count(struct key_gate *g, enum key_verdict verdict, const struct key_entry *e)
{
    if (verdict == KEY_LATER_READ)
        g->counters.misses++;
    else if (e != NULL && e->kind == KEY_ENTRY_KNOWN)
        g->counters.hits++;
    else if (e != NULL)
        g->counters.negative_hits++;
}

enum key_verdict key_gate_ask(struct key_gate *g, const struct secret_digest *digest,
                              struct key_entry **entry)
{
    struct key_sense now;
    sense(g, &now);
    *entry = NULL;
    enum key_verdict verdict = judge(g, digest, &now, STAGE_FIRST, entry);
    count(g, verdict, *entry);
    if (verdict != KEY_GRANTED)
        *entry = NULL;
    return verdict;
}

// -- waiting ----------------------------------------------------------------

static void tell(struct key_question *q, enum key_verdict verdict, struct key_entry *entry)
{
    q->on_verdict(q, verdict, verdict == KEY_GRANTED ? entry : NULL);
}

static void on_filled(struct key_waiter *w, enum key_fill_outcome outcome)
{
    struct key_question *q = CM_CONTAINER_OF(w, struct key_question, waiter);
    struct key_gate *g = q->gate;
    struct key_entry *e = NULL;
    enum key_verdict verdict = KEY_LATER_READ;
    struct key_sense now;
    sense(g, &now);
    if (outcome == KEY_FILL_AWAY)
        now.up = false;
    if (outcome != KEY_FILL_UNSURE)
        verdict =
            judge(g, &q->digest, &now, outcome == KEY_FILL_READ ? STAGE_READ : STAGE_CONFIRMED, &e);
    if (verdict == KEY_LATER_READ)
        verdict =
            unknown(g, outcome == KEY_FILL_AWAY ? KEY_DOUBT_STORE_AWAY : KEY_DOUBT_KEY_UNSURE);
    tell(q, verdict, e);
}

// Whose record or denial is in memory was good once; an absence says nothing.
static enum key_line line_of(struct key_gate *g, const struct key_question *q)
{
    struct key_sense now;
    sense(g, &now);
    const struct key_entry *e = key_cache_find(g->cache, &q->digest, now.now_ms);
    if (e != NULL && e->kind != KEY_ENTRY_ABSENT)
        return KEY_LINE_KNOWN;
    return q->crowded ? KEY_LINE_FURTHER : KEY_LINE_FIRST;
}

static bool wait_read(struct key_gate *g, struct key_question *q)
{
    struct key_sense now;
    q->waiter.on_filled = on_filled;
    if (key_fill_join(g->fill, &q->digest, line_of(g, q), &q->waiter))
        return true;
    sense(g, &now);
    g->doubt = can_ask(&now) ? KEY_DOUBT_TOO_MANY : KEY_DOUBT_STORE_AWAY;
    return false;
}

// Connections that ask for one thing are as many as there may be connections; what others
// ask for on top is bounded, and never in their way.
static bool wait_confirm(struct key_gate *g, struct key_question *q)
{
    if (q->crowded && g->confirm_count >= KEY_FILL_WAITERS_MAX) {
        g->doubt = KEY_DOUBT_TOO_MANY;
        return false;
    }
    if (g->confirm_count++ == 0) {
        struct key_sense now;
        sense(g, &now);
        g->confirm_deadline_ms = now.now_ms + KEY_CONFIRM_PATIENCE_MS;
        g->options.source->confirm(g->options.ctx);
    }
    q->next = NULL;
    *g->confirm_last = q;
    g->confirm_last = &q->next;
    return true;
}

bool key_gate_wait(struct key_gate *g, struct key_question *q, enum key_verdict later)
{
    CM_ASSERT(later == KEY_LATER_CONFIRM || later == KEY_LATER_READ);
    q->gate = g;
    bool waits = later == KEY_LATER_READ ? wait_read(g, q) : wait_confirm(g, q);
    set_alarm(g);
    return waits;
}

static void judge_again(struct key_gate *g, struct key_question *q)
{
    struct key_sense now;
    struct key_entry *e = NULL;
    sense(g, &now);
    enum key_verdict verdict = judge(g, &q->digest, &now, STAGE_CONFIRMED, &e);
    if (verdict != KEY_LATER_READ)
        tell(q, verdict, e);
    else if (!wait_read(g, q))
        tell(q, KEY_UNKNOWN, NULL);
}

// The wait for a confirmation is over, whatever came of it.
static void release_confirms(struct key_gate *g)
{
    struct key_question *q = g->confirm_first;
    g->confirm_first = NULL;
    g->confirm_last = &g->confirm_first;
    g->confirm_count = 0;
    g->confirm_deadline_ms = UINT64_MAX;
    while (q != NULL) {
        struct key_question *next = q->next;
        judge_again(g, q);
        q = next;
    }
}

// -- news -------------------------------------------------------------------

void key_gate_key_changed(struct key_gate *g, const struct secret_digest *digest, bool deny,
                          uint64_t revision)
{
    key_fill_key_changed(g->fill, digest, revision);
    if (deny)
        key_cache_deny(g->cache, digest, revision);
    else
        key_cache_change(g->cache, digest, revision);
}

void key_gate_keys_unverified(struct key_gate *g)
{
    struct key_sense now;
    sense(g, &now);
    key_fill_all_changed(g->fill);
    key_cache_unverify(g->cache, now.confirmed_ms); // still that from before the reload
}

void key_gate_on_feed(struct key_gate *g)
{
    struct key_sense now;
    sense(g, &now);
    if (g->confirm_first != NULL && (is_fresh(g, &now) || !can_ask(&now)))
        release_confirms(g);
    key_fill_on_feed(g->fill);
    set_alarm(g);
}

void key_gate_on_time(struct key_gate *g)
{
    struct key_sense now;
    sense(g, &now);
    g->alarm_ms = UINT64_MAX;
    if (now.now_ms >= g->confirm_deadline_ms) {
        g->no_confirm_before_ms = now.now_ms + GIVE_UP_MS;
        release_confirms(g);
    }
    key_fill_on_time(g->fill);
    set_alarm(g);
}

enum key_doubt key_gate_doubt(const struct key_gate *g)
{
    return g->doubt;
}

struct key_cache *key_gate_cache(const struct key_gate *g)
{
    return g->cache;
}

struct key_fill_counters key_gate_fill_counters(const struct key_gate *g)
{
    return key_fill_counters(g->fill);
}

struct key_gate_counters key_gate_counters(const struct key_gate *g)
{
    return g->counters;
}

void key_gate_destroy(struct key_gate *g)
{
    if (g == NULL)
        return;
    for (struct key_question *q = g->confirm_first, *next; q != NULL; q = next) {
        next = q->next;
        tell(q, unknown(g, KEY_DOUBT_STORE_AWAY), NULL);
    }
    key_fill_destroy(g->fill);
    key_cache_destroy(g->cache);
    free(g);
}
