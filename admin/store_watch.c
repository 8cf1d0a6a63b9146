// SPDX-License-Identifier: Apache-2.0
// A few times a second the head is read, and beside it, from the log, the change
// at the newest revision that we know and at the newest that we wrote: a number
// alone says nothing, because a store that lost writes gives it out again. After
// each connect Redis is asked how it would treat our data, and the fleet's mirror
// is read, so that a worker which was there before us counts.
//
//   as we know it, or beyond   ready; what was only intended is settled
//   behind, or other changes   suspect, and repaired: at once where our journal
//                              has what is missing, else after REPAIR_WAIT, in
//                              which another admin may have it
//   anything else              suspect, until it is back or an operator accepts
//
// The first history is made only when there is certainly none: no head now, none
// ever seen (by this process, or by one whose journal this is), and for
// FIRST_WAIT_MS of listening no worker that holds a catalog. (Workers that never
// had one do not count: on a first start they are there before us, and wait.)
#include "admin/store_watch.h"

#include <stdlib.h>
#include <string.h>

#include "admin/repair.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/model/ack.h"
#include "common/store/commit.h"
#include "common/store/fetch.h"
#include "common/store/reply.h"

enum {
    FIRST_WAIT_MS = 3000,
    FIRST_WORD_MS = FIRST_WAIT_MS + 500, // a start that goes well needs no word before
    READ_EVERY_MS = 200,
    FLEET_EVERY_MS = 1000,
    READ_SOON_MS = 100,
    UNFIT_RECHECK_MS = 5000,
    INTENTS_MAX = 8 // settled at a time
};

struct store_watch {
    struct store_watch_options options;
    bool checked;  // Redis' own settings, at least once
    bool reading;  // the head
    bool creating; // the history
    bool ready, stopping;
    bool told;           // the log has had a verdict,
    struct buf told_why; // and this one was the last; empty = ready
    uint64_t met_ms;     // the first answer; 0 = none yet
    uint64_t revision;
    uint64_t next_read_ms, next_check_ms;
    uint64_t listening_since_ms; // 0 = not listening
    struct fetch *fetch;
    bool fleet_asked;
    uint64_t fleet_removals; // roster_removals of then
    uint64_t next_fleet_ms;
    // A closer look: the log is asked as well.
    bool closer;
    size_t fleet_slot, known_slot, tip_slot, oldest_slot;
    struct record_counts_slots counts_slots;
    struct head known; // that was asked for
    uint64_t tip;      // its change; 0 = there was none
    // What the last closer look found good.
    uint64_t good_epoch, good_tip;
    size_t intent_count;
    uint64_t intents[INTENTS_MAX]; // changes that are only intended
    size_t intent_slots[INTENTS_MAX];
    bool repairing;
    uint64_t lost_since_ms; // 0 = nothing is known to be lost
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
    buf_fini(&w->told_why);
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
    if (w->creating || guard_knows_history(o->guard) || !o->guard->policy_good ||
        (o->journal != NULL && !journal_is_empty(o->journal)) || w->listening_since_ms == 0 ||
        now_ms - w->listening_since_ms < FIRST_WAIT_MS)
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
            roster_load(w->options.roster, &ack, w->fleet_removals, now_ms, wall_ms);
    }
}

// --- is it ours?

static const struct journal_entry *tip_of(const struct store_watch *w)
{
    return w->options.journal == NULL ? NULL : journal_tip(w->options.journal);
}

// Is it plain from the head alone? The newest that we know is there, and with it
// what the last closer look has found.
static bool is_plain(const struct store_watch *w, const struct head *head)
{
    const struct head *known = &w->options.guard->known;
    const struct journal_entry *tip = tip_of(w);
    bool intents = w->intent_count > 0;
    if (head->epoch != known->epoch || head->revision != known->revision ||
        head->change != known->change || intents)
        return false;
    return tip == NULL || tip->change == head->change ||
           (w->good_epoch == head->epoch && w->good_tip == tip->change);
}

// Is that change in the log, or so old that it cannot be missed there?
static bool is_there(const struct store_watch *w, const struct head *head, size_t slot,
                     uint64_t revision, uint64_t change)
{
    struct slice there = fetch_result(w->fetch, slot);
    char hex[HEAD_ID_HEX_LEN + 1];
    uint64_t oldest;
    head_id_hex(change, hex);
    if (slice_equal(there, slice_of(hex)))
        return true;
    if (there.ptr != NULL || revision > head->revision)
        return false;
    bool any = fetch_list_count(w->fetch, w->oldest_slot) > 0;
    bool read =
        any && slice_parse_u64(fetch_list_at(w->fetch, w->oldest_slot, 0), UINT64_MAX, &oldest);
    return !read || oldest > revision;
}

// The newest head that we know, held against the log.
static bool has_known(const struct store_watch *w, const struct head *head)
{
    const struct head *known = &w->known;
    if (known->revision == 0 || head->epoch != known->epoch || head->revision <= known->revision)
        return true;
    return is_there(w, head, w->known_slot, known->revision, known->change);
}

// The newest write of ours.
static bool has_tip(const struct store_watch *w, const struct head *head)
{
    const struct journal_entry *tip = tip_of(w);
    const struct head *known = &w->options.guard->known;
    if (tip == NULL || w->tip != tip->change)
        return true;
    bool comparable = tip->epoch == head->epoch || tip->epoch == known->epoch ||
                      head_descends_from(head, tip->epoch) || head_descends_from(known, tip->epoch);
    return !comparable || is_there(w, head, w->tip_slot, tip->revision, tip->change);
}

static void on_repaired(void *ctx)
{
    struct store_watch *w = ctx;
    w->repairing = false;
    w->next_read_ms = 0;
}

static void repair(struct store_watch *w)
{
    if (w->repairing)
        return;
    w->repairing = true;
    repair_start(&(struct repair_options){.txns = w->options.txns,
                                          .guard = w->options.guard,
                                          .journal = w->options.journal,
                                          .keyspace = w->options.keyspace,
                                          .on_done = on_repaired,
                                          .ctx = w});
}

static const struct journal_entry *entry_of(const struct journal *j, uint64_t change)
{
    for (size_t i = journal_count(j); i-- > 0;)
        if (journal_at(j, i)->change == change)
            return journal_at(j, i);
    return NULL;
}

// Can it still come? The head is the one that it was planned on, or one that it was
// planned on can still come.
static bool may_come(const struct store_watch *w, const struct head *head,
                     const struct journal_entry *e)
{
    bool follows = head->change == e->previous;
    for (size_t i = 0; i < w->intent_count && !follows; i++)
        follows = w->intents[i] == e->previous;
    return follows && head->revision < e->revision;
}

// What became of writes that nobody heard of again, oldest first. Those that can
// still come stay in the list.
static void settle_intents(struct store_watch *w, const struct head *head)
{
    struct journal *j = w->options.journal;
    size_t left = 0;
    for (size_t i = 0; i < w->intent_count; i++) {
        char hex[HEAD_ID_HEX_LEN + 1];
        uint64_t change = w->intents[i];
        struct slice there = fetch_result(w->fetch, w->intent_slots[i]);
        const struct journal_entry *e = entry_of(j, change);
        head_id_hex(change, hex);
        w->intents[i] = 0;
        if (e == NULL)
            continue;
        if (there.ptr == NULL && may_come(w, head, e))
            w->intents[left++] = change;
        else
            journal_settle(j, change,
                           slice_equal(there, slice_of(hex)) ? JOURNAL_DONE : JOURNAL_VOID);
    }
}

static void accept_head(struct store_watch *w, const struct head *head)
{
    struct guard *g = w->options.guard;
    struct journal *j = w->options.journal;
    settle_intents(w, head);
    bool news = j != NULL && journal_position(j).epoch != head->epoch;
    g->known = *head;
    w->lost_since_ms = 0;
    if (news && !journal_note(j, head))
        LOG_ERROR("history_not_noted", LOG_U64("revision", head->revision));
}

// False when the log has to be looked at first.
static bool judge_history(struct store_watch *w, const struct head *head, uint64_t now_ms)
{
    struct guard *g = w->options.guard;
    enum guard_reason reason = guard_judge(g, HEAD_OK, head);
    bool plain = is_plain(w, head);
    if (!plain && !w->closer)
        return false;
    bool ours = reason != GUARD_FOREIGN;
    bool tip = plain || !ours || has_tip(w, head);
    if (!plain && reason == GUARD_FINE && !has_known(w, head))
        reason = GUARD_DIVERGED;
    guard_look(g, reason, HEAD_OK, head);
    if (reason == GUARD_FINE) {
        accept_head(w, head);
        w->good_epoch = tip ? head->epoch : 0;
        w->good_tip = w->tip;
    } else if (ours && w->lost_since_ms == 0) {
        w->lost_since_ms = now_ms;
    }
    bool waited = w->lost_since_ms != 0 && now_ms - w->lost_since_ms >= w->options.repair_wait_ms;
    if (!tip || waited)
        repair(w);
    return true;
}

static void read_head(struct store_watch *w);

// Without a head it makes all the difference: what is there may be accepted as it is,
// or there is nothing to accept.
static void describe_records(const struct store_watch *w, struct buf *out)
{
    struct record_counts c = record_counts_read(w->fetch, w->counts_slots);
    if (!c.known)
        buf_append_str(out, " It did not tell what else it holds.");
    else if (c.models + c.keys == 0)
        buf_append_str(out, " There is nothing.");
    else
        buf_printf(out, " There is no head, but %llu models and %llu keys.",
                   (unsigned long long)c.models, (unsigned long long)c.keys);
}

static void tell_suspect(const struct guard *g, struct slice why)
{
    char known[HEAD_ID_HEX_LEN + 1], found[HEAD_ID_HEX_LEN + 1];
    bool is_there = g->found_status == HEAD_OK;
    head_id_hex(g->known.epoch, known);
    head_id_hex(is_there ? g->found.epoch : 0, found);
    LOG_WARN("store_not_ready", LOG_CSTR("reason", guard_reason_name(g->reason)),
             LOG_STR("why", why), LOG_CSTR("known_epoch", known),
             LOG_U64("known_revision", g->known.revision), LOG_CSTR("found_epoch", found),
             LOG_U64("found_revision", is_there ? g->found.revision : 0),
             LOG_CSTR("hint", "GET /admin/v1/fleet shows it; README, Redis lost its data"));
}

// Each verdict once: a start that goes well says nothing before it is ready, one
// that does not must not be silent.
static void tell(struct store_watch *w, struct problem *problem, uint64_t now_ms)
{
    if (problem->code == PROBLEM_STORE_SUSPECT && w->options.guard->reason == GUARD_EMPTY)
        describe_records(w, &problem->detail);
    struct slice why = buf_slice(&problem->detail);
    if (w->met_ms == 0)
        w->met_ms = now_ms;
    bool early = !w->told && !w->ready && now_ms - w->met_ms < FIRST_WORD_MS;
    if (early || (w->told && slice_equal(why, buf_slice(&w->told_why))))
        return;
    w->told = true;
    buf_clear(&w->told_why);
    buf_append_slice(&w->told_why, why);
    if (w->ready)
        LOG_INFO("store_ready", LOG_U64("revision", w->revision));
    else if (problem->code == PROBLEM_STORE_SUSPECT)
        tell_suspect(w->options.guard, why);
    else
        LOG_WARN("store_not_ready", LOG_STR("why", why));
}

static void judge_head(struct store_watch *w, bool ok, uint64_t now_ms)
{
    struct problem problem = {.code = PROBLEM_NONE};
    struct guard *g = w->options.guard;
    struct head head = {.revision = 0};
    enum head_status status = ok ? fetch_head(w->fetch, &head) : HEAD_ABSENT;
    if (ok && w->fleet_asked)
        load_fleet(w, now_ms); // before the judgement: who is there is evidence
    if (ok && status == HEAD_OK && !judge_history(w, &head, now_ms)) {
        w->closer = true;
        read_head(w);
        return;
    }
    if (ok && status != HEAD_OK) {
        w->lost_since_ms = 0;
        guard_look(g,
                   status == HEAD_ABSENT && !guard_knows_history(g) ? GUARD_FINE
                                                                    : guard_judge(g, status, &head),
                   status, &head);
    }
    w->closer = false;
    w->ready = guard_write(g, ok, status, &head, &problem);
    if (w->ready)
        w->revision = head.revision;
    tell(w, &problem, now_ms);
    if (ok && status == HEAD_ABSENT)
        create_if_first(w, now_ms);
    w->next_read_ms = now_ms + (w->ready ? READ_EVERY_MS : READ_SOON_MS);
    problem_fini(&problem);
}

static void on_read(void *ctx, bool ok)
{
    struct store_watch *w = ctx;
    w->reading = false;
    if (ok)
        w->options.guard->answered_ms = clock_wall_ms();
    if (!w->stopping)
        judge_head(w, ok, clock_boot_ms());
}

static void ask_intents(struct store_watch *w)
{
    const struct journal *j = w->options.journal;
    w->intent_count = 0;
    for (size_t i = 0; i < journal_count(j) && w->intent_count < INTENTS_MAX; i++) {
        const struct journal_entry *e = journal_at(j, i);
        if (e->state != JOURNAL_INTENDED || txn_queue_is_pending(w->options.txns, e->change))
            continue;
        w->intents[w->intent_count] = e->change;
        w->intent_slots[w->intent_count++] = fetch_log_change(w->fetch, e->revision);
    }
}

static void ask_log(struct store_watch *w)
{
    const struct journal_entry *tip = tip_of(w);
    w->known = w->options.guard->known;
    if (w->known.revision != 0)
        w->known_slot = fetch_log_change(w->fetch, w->known.revision);
    w->tip = tip == NULL ? 0 : tip->change;
    if (tip != NULL)
        w->tip_slot = fetch_log_change(w->fetch, tip->revision);
    w->oldest_slot = fetch_log(w->fetch, 0, 1);
    if (w->options.journal != NULL)
        ask_intents(w);
}

static void read_head(struct store_watch *w)
{
    uint64_t now_ms = clock_boot_ms();
    if (w->fetch != NULL)
        fetch_destroy(w->fetch);
    w->fetch = fetch_create(w->options.data, w->options.keyspace);
    w->counts_slots = record_counts_ask(w->fetch);
    w->fleet_asked = now_ms >= w->next_fleet_ms;
    if (w->fleet_asked) {
        w->next_fleet_ms = now_ms + FLEET_EVERY_MS;
        w->fleet_slot = fetch_fleet(w->fetch);
        w->fleet_removals = roster_removals(w->options.roster);
    }
    if (w->closer)
        ask_log(w);
    w->reading = true;
    fetch_send(w->fetch, on_read, w);
}

// --- events

void store_watch_on_data(struct store_watch *w, bool up)
{
    w->next_read_ms = 0;
    w->next_fleet_ms = 0;
    w->good_epoch = 0;
    w->closer = true;
    w->options.guard->looked = false;
    if (up) {
        // First of all on this connection: what anybody asks from now on is answered
        // behind it, and finds the store judged.
        check_settings(w);
        if (!w->reading && !w->creating)
            read_head(w);
        return;
    }
    w->ready = false;
    buf_clear(&w->told_why); // the connection has said it; what comes next is news
    buf_append_str(&w->told_why, "Redis is away.");
}

void store_watch_stop(struct store_watch *w)
{
    w->stopping = true;
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
