// SPDX-License-Identifier: Apache-2.0
// The happy path: fetch (head first), plan, commit; the commit compares and sets
// on the head that the plan was made from, so a plan is right or void.
//
//   WAITING --ask--> READING --answer--> READ --plan--> COMMITTING --OK--> done, or
//      ^                                  |                |  |            WAITING for
//      +--- conflict, or no place in it --+----------------+  |            the rest
//                                                             +-- no answer --> LOOKING
//
// They go in rounds, so that the way to Redis and back is paid once a round and not
// once a write. All who wait are asked for together. When the last answer is there,
// the first is planned on the head that was read, the next on the head that the
// first one makes, and so on: a row of commits in one go, a revision each. Who
// rides along must have read that same head, and nothing that a commit before it
// writes to: so it read what it would have read behind them. Should one of the
// row not be made, those behind it cannot be either: their head never comes to be.
// Whoever finds no place in the round (it read what is being changed, wants no
// commit or more than one, is large) is planned in a later one, alone at its head.
//
// The next round asks right behind the commits: Redis answers in order, so what it
// gets is as new as if it had waited for their answers. If one of them is not made,
// what was read behind them is dropped.
//
// LOOKING settles what a lost answer means, the oldest commit first. When Redis is
// back, the log tells:
//   - our change at our revision: it was done;
//   - another change there: it can never be done any more; plan again;
//   - neither, the head is still the one that was planned on: send the very same
//     commit again. Should the first one still be on its way, only one of the two
//     can win the compare-and-set, and the log says that it was our change.
// So "not done" is never concluded from silence. Only when Redis stays away for
// RESOLVE_MS the transaction ends UNRESOLVED, and its request is not answered.
#include "admin/txn.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/store/later.h"

enum {
    ATTEMPTS_MAX = 256,
    READS_MAX = 32,
    RESOLVE_MS = 3000,
    // So many rounds in a row read ahead, then one does not. Who reads ahead commits
    // after one way to Redis, another admin after two: that one would never get its turn.
    AHEAD_MAX = 3,
    ROUND_MAX = 16,    // commits in a round,
    RIDER_WORDS = 1024 // each no longer than this, but the last
};

enum txn_state { TXN_WAITING, TXN_READING, TXN_READ, TXN_COMMITTING, TXN_LOOKING };

struct txn {
    struct txn *next;
    struct txn_queue *queue;
    const struct txn_hooks *hooks;
    void *ctx;
    enum txn_state state;
    unsigned conflicts, reads;
    struct fetch *fetch;
    struct commit *commit; // from the first plan on
    struct head base;      // what was read; what the commit was made from
    bool fit;              // the store may be written; else problem says why not
    bool more;             // the commit is not the last one
    bool intended;         // the commit is in the journal, without an outcome
    struct problem problem;
    // LOOKING
    uint64_t deadline_ms;
    bool looking; // a look is under way
    size_t change_slot;
};

struct txn_queue {
    struct txn_queue_options options;
    struct txn *first, **last;
    size_t reading, in_flight; // fetches, commits without an outcome
    bool turning;              // the round's next step is due
    bool spoiled;              // a commit of this round was not made, or may not have been
    bool behind;               // somebody has asked behind this round's commits
    unsigned ahead;            // rounds in a row that did
};

struct txn_queue *txn_queue_create(const struct txn_queue_options *options)
{
    struct txn_queue *q = xcalloc(1, sizeof(*q));
    q->options = *options;
    q->last = &q->first;
    return q;
}

void txn_queue_destroy(struct txn_queue *q)
{
    if (q == NULL)
        return;
    CM_ASSERT(q->first == NULL && !q->turning);
    free(q);
}

bool txn_queue_idle(const struct txn_queue *q)
{
    return q->first == NULL;
}

bool txn_queue_is_pending(const struct txn_queue *q, uint64_t change)
{
    for (const struct txn *t = q->first; t != NULL; t = t->next)
        if (t->intended && commit_change(t->commit) == change)
            return true;
    return false;
}

static void on_turn(void *ctx);

// What is next is decided when all that Redis has answered by now is heard.
static void take_turn(struct txn_queue *q)
{
    if (q->turning || q->reading > 0 || q->in_flight > 0)
        return;
    if (q->first == NULL) {
        q->spoiled = false;
        return;
    }
    q->turning = true;
    later_run(redis_loop(q->options.redis), on_turn, q);
}

static void drop_fetch(struct txn *t)
{
    if (t->fetch != NULL)
        fetch_destroy(t->fetch);
    t->fetch = NULL;
}

static void drop_commit(struct txn *t)
{
    if (t->commit != NULL)
        commit_destroy(t->commit);
    t->commit = NULL;
}

static void settle_intent(struct txn *t, enum journal_state state)
{
    if (t->intended)
        journal_settle(t->queue->options.journal, commit_change(t->commit), state);
    t->intended = false;
}

static bool is_in_flight(const struct txn *t)
{
    return t->state == TXN_COMMITTING || t->state == TXN_LOOKING;
}

// The commit has its outcome, or will not get one any more.
static void land(struct txn *t, enum txn_state state)
{
    CM_ASSERT(is_in_flight(t));
    t->state = state;
    t->queue->in_flight--;
}

// Takes t off the queue before its owner hears of it, so that what the owner
// starts now stands behind what waits already.
static void finish(struct txn *t, enum txn_result result, struct slice text)
{
    struct txn_queue *q = t->queue;
    struct txn **at = &q->first;
    CM_ASSERT(t->state == TXN_READ || t->state == TXN_WAITING);
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    if (q->last == &t->next)
        q->last = at;
    t->hooks->done(t->ctx, result, text, &t->problem);
    drop_fetch(t);
    drop_commit(t);
    problem_fini(&t->problem);
    free(t);
}

static void fail(struct txn *t, const char *why)
{
    problem_set(&t->problem, PROBLEM_STORE_UNAVAILABLE, "%s", why);
    finish(t, TXN_FAILED, SLICE_NONE);
}

// --- reading

// What was read is judged at once: later, more may be known than this answer knows.
static void on_read(void *ctx, bool ok)
{
    struct txn *t = ctx;
    struct txn_queue *q = t->queue;
    struct head head = {.format = 0};
    enum head_status status = ok ? fetch_head(t->fetch, &head) : HEAD_ABSENT;
    t->state = TXN_READ;
    t->base = head;
    if (!t->hooks->unguarded)
        t->fit = guard_write(q->options.guard, ok, status, &head, &t->problem);
    else if (!(t->fit = ok))
        problem_set(&t->problem, PROBLEM_STORE_UNAVAILABLE,
                    "Redis does not answer, or holds something else where our records belong.");
    q->reading--;
    take_turn(q);
}

static void read_store(struct txn *t)
{
    t->state = TXN_READING;
    t->queue->reading++;
    fetch_send(t->fetch, on_read, t);
}

static void ask_store(struct txn *t)
{
    drop_fetch(t);
    problem_fini(&t->problem);
    t->fetch = fetch_create(t->queue->options.redis, t->queue->options.keyspace);
    t->hooks->ask(t->ctx, t->fetch);
    read_store(t);
}

static bool may_ask(const struct txn_queue *q)
{
    const struct txn *t = q->first;
    if (t == NULL || q->turning || q->spoiled)
        return false;
    if (q->in_flight == 0)
        return t->state != TXN_READ; // else the round is about to be planned
    return q->ahead < AHEAD_MAX && !t->more && !t->hooks->unguarded;
}

// A round of those who wait; who is not guarded only when nobody is before it. (A
// repair has to see the journal as well, as the commits leave it.)
static void ask_waiting(struct txn_queue *q)
{
    size_t round = 0;
    if (!may_ask(q))
        return;
    for (struct txn *t = q->first; t != NULL && round < ROUND_MAX; t = t->next) {
        if (t->hooks->unguarded && t != q->first)
            return;
        round += !is_in_flight(t);
        if (t->state != TXN_WAITING)
            continue;
        q->behind |= q->in_flight > 0;
        ask_store(t);
    }
}

// --- planning

// Written before the script leaves, so that a crash of this process loses nothing; on disk
// before the answer leaves (write.c).
static bool intend(struct txn *t)
{
    struct journal *j = t->queue->options.journal;
    const struct journal_entry entry = {.epoch = commit_epoch(t->commit),
                                        .revision = commit_revision(t->commit),
                                        .change = commit_change(t->commit),
                                        .previous = commit_previous(t->commit)};
    struct buf image = {.len = 0};
    if (j == NULL)
        return true;
    commit_write_image(t->commit, &image);
    t->intended = journal_intend(j, &entry, buf_slice(&image));
    buf_fini(&image);
    return t->intended;
}

static enum txn_verdict plan(struct txn *t)
{
    drop_commit(t);
    t->commit = commit_create(t->queue->options.keyspace, &t->base);
    return t->hooks->plan(t->ctx, t->fetch, &t->base, t->commit);
}

// True when its commit is to be sent.
static bool plan_first(struct txn *t)
{
    if (!t->fit) {
        finish(t, TXN_FAILED, SLICE_NONE);
        return false;
    }
    switch (plan(t)) {
    case TXN_STOP:
        finish(t, TXN_STOPPED, SLICE_NONE);
        return false;
    case TXN_READ_MORE:
        if (++t->reads > READS_MAX)
            fail(t, "The store changes faster than it can be read.");
        else
            read_store(t);
        return false;
    case TXN_COMMIT:
        t->more = false;
        break;
    case TXN_COMMIT_MORE:
        t->more = true;
        break;
    }
    if (!intend(t)) {
        fail(t, "The journal cannot be written, so nothing is.");
        return false;
    }
    t->state = TXN_COMMITTING;
    return true;
}

static bool is_same(const struct head *a, const struct head *b)
{
    return a->epoch == b->epoch && a->revision == b->revision && a->change == b->change;
}

// Would it have read the same behind the commits from first on?
static bool reads_the_same(const struct txn *first, const struct txn *t)
{
    if (!t->fit || !is_same(&t->base, &first->base))
        return false;
    for (const struct txn *before = first; before != t; before = before->next)
        if (fetch_is_changed_by(t->fetch, before->commit))
            return false;
    return true;
}

// Behind the row that ends with last.
static bool plan_rider(const struct txn *first, const struct txn *last, struct txn *t)
{
    if (t->state != TXN_READ || !reads_the_same(first, t) ||
        commit_words(last->commit) > RIDER_WORDS || last->more)
        return false;
    t->base = commit_head(last->commit);
    t->more = false;
    if (plan(t) != TXN_COMMIT || !intend(t))
        return false;
    t->state = TXN_COMMITTING;
    return true;
}

static void on_commit(void *ctx, enum commit_status status, struct slice outcome);

static void send_commit(struct txn *t)
{
    const struct txn_queue_options *o = &t->queue->options;
    t->state = TXN_COMMITTING;
    commit_send(t->commit, o->redis, o->log_keep, o->log_keep_bytes, on_commit, t);
}

// The first who commits, and all that can ride along.
static void send_round(struct txn_queue *q)
{
    CM_ASSERT(q->in_flight == 0);
    while (q->first != NULL && q->first->state == TXN_READ && !plan_first(q->first))
        continue;
    struct txn *t = q->first, *last = t;
    if (t == NULL || t->state != TXN_COMMITTING)
        return;
    for (q->in_flight = 1; q->in_flight < ROUND_MAX && last->next != NULL; q->in_flight++) {
        if (!plan_rider(t, last, last->next))
            break;
        last = last->next;
    }
    for (size_t i = 0; i < q->in_flight; i++, t = t->next)
        send_commit(t);
}

// They read before the commits that are sent now, or behind one that was not made.
static void drop_reads(struct txn_queue *q)
{
    for (struct txn *t = q->first; t != NULL; t = t->next)
        if (t->state == TXN_READ)
            t->state = TXN_WAITING;
}

static void on_turn(void *ctx)
{
    struct txn_queue *q = ctx;
    q->turning = false;
    q->ahead = q->behind && !q->spoiled ? q->ahead + 1 : 0;
    q->behind = false;
    if (!q->spoiled)
        send_round(q);
    q->spoiled = false;
    if (q->reading == 0)
        drop_reads(q);
    ask_waiting(q);
}

// --- outcomes

static void conflict(struct txn *t)
{
    settle_intent(t, JOURNAL_VOID);
    land(t, TXN_WAITING);
    if (++t->conflicts >= ATTEMPTS_MAX)
        fail(t, "Other writers were faster each time.");
}

// What it made is known here from now on, whatever Redis says later.
static void adopt(struct txn *t)
{
    const struct txn_queue_options *o = &t->queue->options;
    struct head head = commit_head(t->commit);
    bool begins = head.epoch != t->base.epoch;
    settle_intent(t, JOURNAL_DONE);
    guard_adopt(o->guard, &head);
    if (begins && o->journal != NULL && !journal_note(o->journal, &head))
        LOG_WARN("history_not_noted", LOG_U64("revision", head.revision));
}

static void succeed(struct txn *t)
{
    adopt(t);
    t->hooks->committed(t->ctx, commit_revision(t->commit));
    t->conflicts = 0;
    t->reads = 0;
    land(t, TXN_WAITING);
    if (!t->more)
        finish(t, TXN_COMMITTED, SLICE_NONE);
}

// Not made, and it will not be.
static void end(struct txn *t, enum txn_result result, struct slice text)
{
    settle_intent(t, JOURNAL_VOID);
    land(t, TXN_WAITING);
    finish(t, result, text);
}

static void refuse(struct txn *t, const char *why, struct slice words)
{
    problem_set(&t->problem, PROBLEM_STORE_UNAVAILABLE, "%s%.*s", why, SLICE_FMT(words));
    end(t, TXN_FAILED, SLICE_NONE);
}

static void take_outcome(struct txn *t, enum commit_status status, struct slice outcome)
{
    switch (status) {
    case COMMIT_OK:
        succeed(t);
        return;
    case COMMIT_CONFLICT:
        conflict(t);
        return;
    case COMMIT_REPLAY:
        end(t, TXN_REPLAYED, outcome);
        return;
    case COMMIT_REFUSED:
        refuse(t, "Redis refused the write: ", outcome);
        return;
    case COMMIT_UNAVAILABLE:
        refuse(t, "Redis went away.", SLICE_NONE);
        return;
    case COMMIT_UNKNOWN:
        t->deadline_ms = clock_boot_ms() + RESOLVE_MS;
        t->state = TXN_LOOKING;
        return;
    }
}

static void on_commit(void *ctx, enum commit_status status, struct slice outcome)
{
    struct txn *t = ctx;
    struct txn_queue *q = t->queue;
    q->spoiled |= status != COMMIT_OK;
    if (status == COMMIT_REFUSED)
        LOG_ERROR("commit_refused", LOG_STR("redis", outcome));
    // Its answer was lost once: only "OK" says anything then, because an earlier
    // sending of this commit may have won, and an outcome may be our own.
    if (t->deadline_ms != 0 && status != COMMIT_OK)
        t->state = TXN_LOOKING;
    else
        take_outcome(t, status, outcome);
    take_turn(q);
}

// What the log says about our change; see the essay above.
static void settle(struct txn *t, enum head_status status, const struct head *head)
{
    bool absent = status == HEAD_ABSENT && t->base.epoch == 0;
    char ours[HEAD_ID_HEX_LEN + 1];
    struct slice there = fetch_result(t->fetch, t->change_slot);
    head_id_hex(commit_change(t->commit), ours);
    bool same = status == HEAD_OK && head->epoch == t->base.epoch &&
                head->revision == t->base.revision && head->change == t->base.change;
    if (status == HEAD_OK && head->epoch == commit_epoch(t->commit) &&
        slice_equal(there, slice_of(ours))) {
        t->deadline_ms = 0;
        succeed(t);
    } else if (same || absent) {
        send_commit(t);
    } else {
        t->deadline_ms = 0;
        conflict(t);
    }
}

static void on_look(void *ctx, bool ok)
{
    struct txn *t = ctx;
    struct txn_queue *q = t->queue;
    struct head head = {.epoch = 0};
    enum head_status status = ok ? fetch_head(t->fetch, &head) : HEAD_GARBLED;
    t->looking = false;
    if (ok && (status == HEAD_OK || (status == HEAD_ABSENT && t->base.epoch == 0)))
        settle(t, status, &head);
    take_turn(q);
}

static void look(struct txn *t)
{
    drop_fetch(t);
    t->looking = true;
    t->fetch = fetch_create(t->queue->options.redis, t->queue->options.keyspace);
    t->change_slot = fetch_log_change(t->fetch, commit_revision(t->commit));
    fetch_send(t->fetch, on_look, t);
}

// The oldest commit without an outcome: those behind it stand on it.
static struct txn *oldest_in_flight(const struct txn_queue *q)
{
    struct txn *t = q->first;
    while (t != NULL && !is_in_flight(t))
        t = t->next;
    return t;
}

static void give_up(struct txn *t)
{
    LOG_ERROR("commit_unresolved", LOG_U64("revision", commit_revision(t->commit)));
    t->intended = false; // stays so in the journal, until the log tells
    land(t, TXN_WAITING);
    finish(t, TXN_UNRESOLVED, SLICE_NONE);
}

void txn_queue_tick(struct txn_queue *q, uint64_t now_ms)
{
    struct txn *t = oldest_in_flight(q);
    while (t != NULL && t->state == TXN_LOOKING && !t->looking && now_ms >= t->deadline_ms) {
        give_up(t);
        t = oldest_in_flight(q);
        take_turn(q);
    }
    if (t != NULL && t->state == TXN_LOOKING && !t->looking && redis_is_up(q->options.redis))
        look(t);
}

void txn_start(struct txn_queue *q, const struct txn_hooks *hooks, void *ctx)
{
    struct txn *t = xcalloc(1, sizeof(*t));
    *t = (struct txn){.queue = q, .hooks = hooks, .ctx = ctx};
    *q->last = t;
    q->last = &t->next;
    ask_waiting(q);
}
