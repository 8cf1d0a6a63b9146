// SPDX-License-Identifier: Apache-2.0
// The feed: what a worker knows of the store, and what it may conclude from it.
//
// A head is judged against our own position. Equal in epoch, revision, change and
// digest: confirmed, LIVE. Ahead in our epoch: the log says what is between
// (feed_log.c). A new epoch that names ours among its parents: a repair or an
// accepted store, loaded whole (feed_reload.c). All else is no continuation of
// what we serve, so it changes nothing but the state: SUSPECT and why.
//
// One kind of suspicion ends by itself. A store of our epoch that is behind us, or
// has other changes where ours should be, lost writes. The admin gets
// repair_wait_ms, counted between the send times of the reads that say so, to
// bring them back under a new epoch; then what the store has is loaded: the one
// permitted fall. A lost link or any other verdict between starts the wait anew,
// because only an unbroken look at the store shows that nobody repairs it.
//
// A head whose server nobody vouches for is no head: an old master that was cut
// off from its replicas answers as before, but what it says may be of the past or
// of a branch that will be thrown away. The feed is AWAY then, though linked.
//
// An answer that takes long to apply is applied in slices, a turn of the owner's loop
// each; the read counts as under way until the last.
//
// Reads are serial: a bell or a feed_confirm during one asks for a head read after
// it, since the answer under way may be older than they are. With the link down
// there is no read at all. The bell is the only input that anybody may forge: it
// can make a key stricter or cause a read, and it moves nothing else.
#include "common/model/feed_internal.h"

#include <stdlib.h>

enum { SWEEP = 2000 }; // records of former copies, a tick

static const char *const state_names[] = {
    [FEED_EMPTY] = "empty", [FEED_AWAY] = "away",       [FEED_CATCHUP] = "catchup",
    [FEED_LIVE] = "live",   [FEED_SUSPECT] = "suspect",
};

static const char *const reason_names[] = {
    [FEED_REASON_NONE] = "",
    [FEED_REASON_EMPTY] = "empty",
    [FEED_REASON_FOREIGN] = "foreign",
    [FEED_REASON_WENT_BACK] = "went_back",
    [FEED_REASON_DIVERGED] = "diverged",
    [FEED_REASON_NEWER_FORMAT] = "newer_format",
    [FEED_REASON_CORRUPT] = "corrupt",
    [FEED_REASON_UNCONFIRMED] = "unconfirmed",
};

const char *feed_state_name(enum feed_state state)
{
    return state_names[state];
}

const char *feed_reason_name(enum feed_reason reason)
{
    return reason_names[reason];
}

struct feed *feed_create(const struct feed_actions *actions, void *ctx, uint64_t repair_wait_ms)
{
    struct feed *f = xcalloc(1, sizeof(*f));
    f->actions = actions;
    f->ctx = ctx;
    f->repair_wait_ms = repair_wait_ms;
    f->slice_bytes = FEED_SLICE_BYTES;
    return f;
}

void feed_destroy(struct feed *f)
{
    if (f == NULL)
        return;
    feed_copy_clear(&f->live);
    feed_copy_clear(&f->stage);
    feed_copy_sweep(&f->trash, SIZE_MAX);
    free(f);
}

void feed_enter(struct feed *f, enum feed_state state, enum feed_reason reason)
{
    CM_ASSERT((state == FEED_EMPTY) == !feed_has_catalog(f));
    bool changed = state != f->state || reason != f->reason;
    f->counters.suspects += changed && state == FEED_SUSPECT;
    f->state = state;
    f->reason = reason;
}

void feed_hold(struct feed *f, enum feed_reason reason)
{
    feed_enter(f, feed_has_catalog(f) ? FEED_SUSPECT : FEED_EMPTY, reason);
}

static bool is_lost(const struct feed *f)
{
    return f->reason == FEED_REASON_WENT_BACK || f->reason == FEED_REASON_DIVERGED;
}

void feed_hold_lost(struct feed *f, enum feed_reason reason)
{
    if (!is_lost(f))
        f->lost_since_ms = f->target_sent_ms;
    feed_hold(f, reason);
    if (f->target_sent_ms - f->lost_since_ms >= f->repair_wait_ms)
        feed_reload_begin(f, true);
}

void feed_confirmed(struct feed *f)
{
    f->confirmed_at = f->target_sent_ms;
    f->from_disk = false;
    feed_enter(f, FEED_LIVE, FEED_REASON_NONE);
}

void feed_note_path(struct feed *f)
{
    const struct feed_position *at = &f->live.at;
    f->path[at->revision % FEED_PATH_MAX].revision = at->revision;
    f->path[at->revision % FEED_PATH_MAX].change = at->change;
}

bool feed_has_passed(const struct feed *f, uint64_t epoch, uint64_t revision, uint64_t change)
{
    size_t slot = revision % FEED_PATH_MAX;
    return epoch == f->live.at.epoch && change != 0 && f->path[slot].revision == revision &&
           f->path[slot].change == change;
}

static void note_told(struct feed *f)
{
    f->told_state = f->state;
    f->told_reason = f->reason;
    f->told_epoch = f->live.at.epoch;
    f->told_revision = f->live.at.revision;
    f->told_change = f->live.at.change;
}

void feed_restore_record(struct feed *f, struct slice id, struct slice record)
{
    CM_ASSERT(!feed_has_catalog(f) && !f->up);
    feed_copy_put(&f->live, id, record);
}

void feed_restore_gone(struct feed *f, struct slice id)
{
    CM_ASSERT(!feed_has_catalog(f) && !f->up);
    feed_copy_remove(&f->live, id);
}

bool feed_restore(struct feed *f, const struct feed_position *at, uint64_t confirmed_ms)
{
    CM_ASSERT(!feed_has_catalog(f) && !f->up && at->epoch != 0);
    const struct feed_position *sum = &f->live.at;
    if (!digest_equal(sum->digest, at->digest) || sum->models != at->models) {
        feed_copy_clear(&f->live);
        return false;
    }
    f->live.at = *at;
    f->confirmed_at = confirmed_ms;
    f->from_disk = true;
    feed_note_path(f);
    feed_enter(f, FEED_AWAY, FEED_REASON_NONE);
    note_told(f); // whoever restores it knows
    return true;
}

void feed_ask_head(struct feed *f)
{
    CM_ASSERT(f->up && f->reading == FEED_READING_NOTHING);
    f->reading = FEED_READING_HEAD;
    f->again = false;
    f->actions->read_head(f->ctx);
}

void feed_ask_log(struct feed *f, uint64_t after)
{
    CM_ASSERT(f->up && f->reading == FEED_READING_NOTHING);
    f->reading = FEED_READING_LOG;
    f->actions->read_log(f->ctx, after, f->torn.parts);
}

static bool is_news(const struct feed *f)
{
    bool moved = f->told_epoch != f->live.at.epoch || f->told_revision != f->live.at.revision ||
                 f->told_change != f->live.at.change;
    bool other_state = f->told_state != f->state || f->told_reason != f->reason;
    // That the store is ahead is no news yet: the log's answer is.
    bool about_to_move = f->state == FEED_CATCHUP && !f->staging;
    return moved || (other_state && !about_to_move);
}

static void report(struct feed *f)
{
    note_told(f);
    f->actions->report(f->ctx);
}

// Ends every event.
static void settle(struct feed *f)
{
    if (is_news(f))
        report(f);
    if (f->up && f->again && f->reading == FEED_READING_NOTHING)
        feed_ask_head(f);
}

void feed_on_link(struct feed *f, bool up)
{
    if (up == f->up)
        return;
    f->up = up;
    if (up) {
        feed_ask_head(f);
        return;
    }
    f->reading = FEED_READING_NOTHING;
    f->again = false;
    f->corrupt_epoch = 0;
    feed_log_drop(f);
    if (f->staging)
        feed_reload_abort(f);
    feed_enter(f, feed_has_catalog(f) ? FEED_AWAY : FEED_EMPTY, FEED_REASON_NONE);
    settle(f);
}

void feed_on_tick(struct feed *f)
{
    feed_copy_sweep(&f->trash, SWEEP);
    if (f->up && f->reading == FEED_READING_NOTHING)
        feed_ask_head(f);
}

void feed_confirm(struct feed *f)
{
    f->again = f->up;
    settle(f);
}

// Only of the history that we follow, or are about to, and only above it: what is
// below has come by the log, and late it would undo a later permission. Without a
// catalog no key is in use that it could concern, and the history that is being
// loaded may still turn out to be another's.
static bool names_keys_for_us(const struct feed *f, const struct bell *bell)
{
    if (!feed_has_catalog(f))
        return false;
    if (bell->epoch == f->live.at.epoch)
        return bell->revision > f->live.at.revision;
    return f->staging && bell->epoch == f->stage.at.epoch && bell->revision > f->stage.at.revision;
}

void feed_on_bell(struct feed *f, const struct bell *bell)
{
    const struct feed_position *at = &f->live.at;
    f->counters.bells++;
    if (names_keys_for_us(f, bell))
        for (size_t i = 0; i < bell->key_count; i++)
            f->actions->key_changed(f->ctx, &bell->keys[i].digest, bell->keys[i].deny,
                                    bell->revision);
    bool known =
        bell->epoch == at->epoch && bell->revision == at->revision && bell->change == at->change;
    if (!known)
        feed_confirm(f);
}

static enum feed_reason reason_of(enum head_status status)
{
    switch (status) {
    case HEAD_ABSENT:
        return FEED_REASON_EMPTY;
    case HEAD_NEWER:
        return FEED_REASON_NEWER_FORMAT;
    case HEAD_OK:
    case HEAD_GARBLED:
        break;
    }
    return FEED_REASON_FOREIGN;
}

static void follow(struct feed *f)
{
    // While it is held as lost it stays so until an entry proves otherwise.
    if (!is_lost(f))
        feed_enter(f, FEED_CATCHUP, FEED_REASON_NONE);
    feed_ask_log(f, f->live.at.revision);
}

static void judge_same_epoch(struct feed *f)
{
    const struct feed_position *at = &f->live.at;
    if (f->target.revision > at->revision) {
        follow(f);
    } else if (f->target.revision < at->revision) {
        feed_hold_lost(f, FEED_REASON_WENT_BACK);
    } else if (f->target.change != at->change) {
        feed_hold_lost(f, FEED_REASON_DIVERGED);
    } else if (feed_copy_sums_up(&f->live, &f->target)) {
        feed_confirmed(f);
    } else {
        f->counters.digest_mismatches++;
        feed_reload_begin(f, false);
    }
}

static void judge(struct feed *f, enum head_status status)
{
    if (status != HEAD_OK)
        feed_hold(f, reason_of(status));
    else if (f->target.epoch == f->live.at.epoch)
        judge_same_epoch(f);
    else if (!feed_has_catalog(f) || head_descends_from(&f->target, f->live.at.epoch))
        feed_reload_begin(f, false);
    else
        feed_hold(f, FEED_REASON_FOREIGN);
}

static void distrust(struct feed *f)
{
    feed_enter(f, feed_has_catalog(f) ? FEED_AWAY : FEED_EMPTY, FEED_REASON_UNCONFIRMED);
}

void feed_on_head(struct feed *f, enum head_status status, const struct head *head,
                  uint64_t sent_ms, bool confirms)
{
    CM_ASSERT(f->reading == FEED_READING_HEAD);
    f->reading = FEED_READING_NOTHING;
    if (status == HEAD_OK) {
        f->target = *head;
        f->target_sent_ms = sent_ms;
    }
    if (f->staging && (!confirms || !feed_reload_goes_on(f, status)))
        feed_reload_abort(f);
    if (!confirms)
        distrust(f);
    else if (f->staging)
        feed_reload_advance(f);
    else
        judge(f, status);
    settle(f);
}

void feed_on_log(struct feed *f, const struct oplog_entry *entries, size_t count, bool garbled)
{
    CM_ASSERT(f->reading == FEED_READING_LOG && !f->walk.active);
    feed_log_begin(f, entries, count, garbled);
    settle(f);
}

bool feed_wants_turn(const struct feed *f)
{
    return f->walk.active;
}

void feed_on_turn(struct feed *f)
{
    CM_ASSERT(f->walk.active);
    feed_log_go_on(f);
    settle(f);
}

void feed_limit_slice(struct feed *f, size_t bytes)
{
    CM_ASSERT(bytes > 0);
    f->slice_bytes = bytes;
}

void feed_on_scan(struct feed *f, const struct feed_record *records, size_t count, bool done)
{
    CM_ASSERT(f->reading == FEED_READING_SCAN);
    f->reading = FEED_READING_NOTHING;
    feed_reload_scan(f, records, count, done);
    settle(f);
}

enum feed_state feed_state(const struct feed *f)
{
    return f->state;
}

enum feed_reason feed_reason(const struct feed *f)
{
    return f->reason;
}

struct feed_position feed_position(const struct feed *f)
{
    return f->live.at;
}

uint64_t feed_told_revision(const struct feed *f)
{
    uint64_t told = f->live.at.revision;
    if (f->walk.active && f->walk.count > 0 && f->walk.entries[f->walk.count - 1].revision > told)
        told = f->walk.entries[f->walk.count - 1].revision;
    else if (f->torn.parts > 0 && f->drafting) // between two answers
        told++;
    return told;
}

uint64_t feed_confirmed_at(const struct feed *f)
{
    return f->confirmed_at;
}

bool feed_is_from_disk(const struct feed *f)
{
    return f->from_disk;
}

const struct feed_counters *feed_counters(const struct feed *f)
{
    return &f->counters;
}
