// SPDX-License-Identifier: Apache-2.0
// The happy path: fetch (head first), plan, commit; the commit compares and sets
// on the head that the plan was made from, so a plan is right or void.
//
//   READING --plan--> COMMITTING --OK--> done, or READING for the rest
//      ^                  |  |
//      +---- conflict ----+  +-- no answer --> LOOKING
//
// The next in the queue asks right behind a commit: Redis answers in order, so what
// it gets is as new as if it had waited for that answer, and a write costs one round
// trip instead of two. Should its answers come before its turn (the commit was not
// made), they are dropped, and it asks anew.
//
// LOOKING settles what a lost answer means. When Redis is back, the log tells:
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

// AHEAD_MAX: so many in a row read ahead, then one does not. Who reads ahead commits
// after one round trip, another admin after two: that one would never get its turn.
enum { ATTEMPTS_MAX = 256, READS_MAX = 32, RESOLVE_MS = 3000, AHEAD_MAX = 3 };

enum txn_state { TXN_READING, TXN_COMMITTING, TXN_LOOKING };

struct txn {
    struct txn *next;
    struct txn_queue *queue;
    const struct txn_hooks *hooks;
    void *ctx;
    enum txn_state state;
    unsigned conflicts, reads;
    struct fetch *fetch;
    struct commit *commit; // from the first plan on
    struct head base;      // what it was made from
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
    struct txn *first, **last; // first is the one that runs
    unsigned ahead;            // transactions in a row that read ahead
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
    CM_ASSERT(q->first == NULL);
    free(q);
}

bool txn_queue_idle(const struct txn_queue *q)
{
    return q->first == NULL;
}

uint64_t txn_queue_pending(const struct txn_queue *q)
{
    return q->first != NULL && q->first->intended ? commit_change(q->first->commit) : 0;
}

static void read_store(struct txn *t);
static void ask_store(struct txn *t);
static void send_commit(struct txn *t);

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

// Takes t off the queue before its owner hears of it, so that what the owner
// starts now stands behind what waits already.
static void finish(struct txn *t, enum txn_result result, struct slice text)
{
    struct txn_queue *q = t->queue;
    CM_ASSERT(q->first == t);
    q->first = t->next;
    if (q->first == NULL)
        q->last = &q->first;
    t->hooks->done(t->ctx, result, text, &t->problem);
    drop_fetch(t);
    drop_commit(t);
    problem_fini(&t->problem);
    free(t);
    if (q->first != NULL && q->first->fetch == NULL)
        read_store(q->first);
}

static void fail(struct txn *t, const char *why)
{
    problem_set(&t->problem, PROBLEM_STORE_UNAVAILABLE, "%s", why);
    finish(t, TXN_FAILED, SLICE_NONE);
}

static void act_on_plan(struct txn *t, enum txn_verdict verdict);

static void on_read(void *ctx, bool ok)
{
    struct txn *t = ctx;
    struct head head = {.format = 0};
    enum head_status status = ok ? fetch_head(t->fetch, &head) : HEAD_ABSENT;
    if (t->queue->first != t) { // it read ahead, and the one before it is not done
        drop_fetch(t);
        return;
    }
    if (t->hooks->unguarded && !ok) {
        fail(t, "Redis does not answer, or holds something else where our records belong.");
        return;
    }
    if (!t->hooks->unguarded &&
        !guard_write(t->queue->options.guard, ok, status, &head, &t->problem)) {
        finish(t, TXN_FAILED, SLICE_NONE);
        return;
    }
    drop_commit(t);
    t->base = head;
    t->commit = commit_create(t->queue->options.keyspace, &head);
    act_on_plan(t, t->hooks->plan(t->ctx, t->fetch, &head, t->commit));
}

// On disk before the script leaves.
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

static void settle_intent(struct txn *t, enum journal_state state)
{
    if (t->intended)
        journal_settle(t->queue->options.journal, commit_change(t->commit), state);
    t->intended = false;
}

static void act_on_plan(struct txn *t, enum txn_verdict verdict)
{
    switch (verdict) {
    case TXN_STOP:
        finish(t, TXN_STOPPED, SLICE_NONE);
        return;
    case TXN_READ_MORE:
        if (++t->reads > READS_MAX)
            fail(t, "The store changes faster than it can be read.");
        else
            fetch_send(t->fetch, on_read, t);
        return;
    case TXN_COMMIT:
    case TXN_COMMIT_MORE:
        t->more = verdict == TXN_COMMIT_MORE;
        if (intend(t))
            send_commit(t);
        else
            fail(t, "The journal cannot be written, so nothing is.");
        return;
    }
}

// A new attempt with a new fetch.
static void read_store(struct txn *t)
{
    drop_fetch(t);
    t->queue->ahead = 0;
    ask_store(t);
}

// t's commit is on its way, and nothing more will be asked for t: the next one's turn.
// (A repair has to see the journal as well, as the commit leaves it.)
static void read_behind(struct txn *t)
{
    struct txn *next = t->state == TXN_COMMITTING && !t->more ? t->next : NULL;
    if (next == NULL || next->fetch != NULL || next->hooks->unguarded ||
        t->queue->ahead >= AHEAD_MAX)
        return;
    t->queue->ahead++;
    ask_store(next);
}

static void ask_store(struct txn *t)
{
    t->state = TXN_READING;
    t->fetch = fetch_create(t->queue->options.redis, t->queue->options.keyspace);
    t->hooks->ask(t->ctx, t->fetch);
    fetch_send(t->fetch, on_read, t);
}

static void conflict(struct txn *t)
{
    settle_intent(t, JOURNAL_VOID);
    if (++t->conflicts >= ATTEMPTS_MAX)
        fail(t, "Other writers were faster each time.");
    else
        read_store(t);
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
    if (t->more)
        read_store(t);
    else
        finish(t, TXN_COMMITTED, SLICE_NONE);
}

static void on_commit(void *ctx, enum commit_status status, struct slice outcome)
{
    struct txn *t = ctx;
    switch (status) {
    case COMMIT_OK:
        succeed(t);
        return;
    case COMMIT_CONFLICT:
        if (t->deadline_ms != 0)
            t->state = TXN_LOOKING; // an earlier sending of this commit may have won
        else
            conflict(t);
        return;
    case COMMIT_REPLAY:
        if (t->deadline_ms != 0) {
            t->state = TXN_LOOKING; // the outcome may be our own
            return;
        }
        settle_intent(t, JOURNAL_VOID);
        finish(t, TXN_REPLAYED, outcome);
        return;
    case COMMIT_REFUSED:
        LOG_ERROR("commit_refused", LOG_STR("redis", outcome));
        if (t->deadline_ms != 0) {
            t->state = TXN_LOOKING;
            return;
        }
        problem_set(&t->problem, PROBLEM_STORE_UNAVAILABLE, "Redis refused the write: %.*s",
                    SLICE_FMT(outcome));
        settle_intent(t, JOURNAL_VOID);
        finish(t, TXN_FAILED, SLICE_NONE);
        return;
    case COMMIT_UNAVAILABLE:
        if (t->deadline_ms != 0) {
            t->state = TXN_LOOKING;
            return;
        }
        settle_intent(t, JOURNAL_VOID);
        fail(t, "Redis went away.");
        return;
    case COMMIT_UNKNOWN:
        if (t->deadline_ms == 0)
            t->deadline_ms = clock_boot_ms() + RESOLVE_MS;
        t->state = TXN_LOOKING;
        return;
    }
}

static void send_commit(struct txn *t)
{
    const struct txn_queue_options *o = &t->queue->options;
    t->state = TXN_COMMITTING;
    commit_send(t->commit, o->redis, o->log_keep, o->log_keep_bytes, on_commit, t);
    read_behind(t);
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
    struct head head = {.epoch = 0};
    enum head_status status = ok ? fetch_head(t->fetch, &head) : HEAD_GARBLED;
    t->looking = false;
    if (ok && (status == HEAD_OK || (status == HEAD_ABSENT && t->base.epoch == 0)))
        settle(t, status, &head);
}

static void look(struct txn *t)
{
    drop_fetch(t);
    t->looking = true;
    t->fetch = fetch_create(t->queue->options.redis, t->queue->options.keyspace);
    t->change_slot = fetch_log_change(t->fetch, commit_revision(t->commit));
    fetch_send(t->fetch, on_look, t);
}

void txn_queue_tick(struct txn_queue *q, uint64_t now_ms)
{
    struct txn *t = q->first;
    if (t == NULL || t->state != TXN_LOOKING || t->looking)
        return;
    if (now_ms >= t->deadline_ms) {
        LOG_ERROR("commit_unresolved", LOG_U64("revision", commit_revision(t->commit)));
        t->intended = false; // stays so in the journal, until the log tells
        finish(t, TXN_UNRESOLVED, SLICE_NONE);
    } else if (redis_is_up(q->options.redis)) {
        look(t);
    }
}

void txn_start(struct txn_queue *q, const struct txn_hooks *hooks, void *ctx)
{
    struct txn *t = xcalloc(1, sizeof(*t));
    *t = (struct txn){.queue = q, .hooks = hooks, .ctx = ctx};
    *q->last = t;
    q->last = &t->next;
    if (q->first == t)
        read_store(t);
    else if (q->first->next == t)
        read_behind(q->first);
}
