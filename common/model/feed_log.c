// SPDX-License-Identifier: Apache-2.0
// Following the log, entry by entry, from where a copy stands. An entry is taken
// only when it is the very next revision and names our change as the one before
// it: then it continues what we have, whichever server it came from. Anything
// else says that the log is not, or not any more, the continuation:
//
//   a gap       it was trimmed, or a new history skipped revisions: reload
//   a fork      another change stands where ours should: the store lost writes
//   garbled     it cannot be read: reload past it
//
// On the way the copy passes the target's revision. There, and only there, it can
// be compared with a head: the change must be the head's and the records must sum
// up to its digest. Entries past that point are newer than the head; they are
// applied as well, and what is odd among them is judged by a newer head.
//
// The same walk advances the staged copy. When that one arrives it becomes the
// live one in the middle of the walk, and the rest of the batch goes there.
#include "common/model/feed_internal.h"

enum outcome {
    ON_THE_WAY, // all fitted, the target is not reached yet
    ARRIVED,    // passed the target and agreed with it
    STRAYED,    // the target's revision carries another change than the head said
    MISCOUNTED, // the records do not sum up to the target's digest
    GAP,
    FORKED,
    GARBLED
};

static struct feed_copy *copy_of(struct feed *f)
{
    return f->staging ? &f->stage : &f->live;
}

// ON_THE_WAY: the entry continues the copy.
static enum outcome check_joint(const struct feed_position *at, const struct oplog_entry *e)
{
    if (e->revision > at->revision + 1)
        return GAP;
    if (e->revision <= at->revision)
        return GARBLED; // not what was asked for
    if (e->previous != at->change)
        return FORKED;
    return oplog_valid(e->ops) ? ON_THE_WAY : GARBLED;
}

static enum outcome compare(const struct feed_copy *c, const struct head *target)
{
    if (c->at.revision < target->revision)
        return ON_THE_WAY;
    if (c->at.change != target->change)
        return STRAYED;
    return feed_copy_sums_up(c, target) ? ARRIVED : MISCOUNTED;
}

// The keys are marked at once, also for a staged copy: a denial that was seen
// stays in force whatever becomes of the reload. (Without a catalog no key is in
// use yet.)
static void apply(struct feed *f, const struct oplog_entry *e)
{
    struct feed_copy *c = copy_of(f);
    struct slice rest = e->ops;
    struct oplog_op op;
    while (oplog_next(&rest, &op) > 0) {
        switch (op.kind) {
        case OPLOG_MODEL:
            feed_copy_put(c, op.id, op.record);
            f->actions->put_model(f->ctx, f->staging, op.id, op.record);
            break;
        case OPLOG_REMOVE:
            feed_copy_remove(c, op.id);
            f->actions->remove_model(f->ctx, f->staging, op.id);
            break;
        case OPLOG_KEY:
        case OPLOG_DENY:
            if (feed_has_catalog(f))
                f->actions->key_changed(f->ctx, &op.key, op.kind == OPLOG_DENY, e->revision);
            break;
        }
    }
    c->at.revision = e->revision;
    c->at.change = e->change;
    if (!f->staging)
        feed_note_path(f);
}

// The copy stands where the target stood: what we have is confirmed.
static void arrive(struct feed *f)
{
    if (f->staging)
        feed_reload_commit(f);
    feed_confirmed(f);
}

// Applies what fits and says why it stopped. *shown counts the entries that went
// into the live copy.
static enum outcome walk(struct feed *f, const struct oplog_entry *entries, size_t count,
                         size_t *shown)
{
    enum outcome outcome = ON_THE_WAY;
    for (size_t i = 0; i < count; i++) {
        enum outcome joint = check_joint(&copy_of(f)->at, &entries[i]);
        if (joint != ON_THE_WAY && outcome != ARRIVED)
            return joint;
        if (joint != ON_THE_WAY) {
            f->again = true; // a newer head shall judge
            return ARRIVED;
        }
        *shown += !f->staging;
        apply(f, &entries[i]);
        if (outcome == ARRIVED)
            continue;
        outcome = compare(copy_of(f), &f->target);
        if (outcome == ARRIVED)
            arrive(f);
        else if (outcome != ON_THE_WAY)
            return outcome;
    }
    return outcome;
}

static void conclude_staged(struct feed *f, enum outcome outcome)
{
    if (outcome == ON_THE_WAY)
        feed_ask_log(f, f->stage.at.revision);
    else if (outcome == MISCOUNTED)
        feed_reload_miscounted(f);
    else
        feed_reload_abort(f); // and try anew at the next tick
}

static void conclude_live(struct feed *f, enum outcome outcome)
{
    switch (outcome) {
    case ON_THE_WAY:
        feed_ask_log(f, f->live.at.revision);
        break;
    case ARRIVED:
        break;
    case STRAYED: // the store changed between the two reads, or contradicts itself
        f->again = true;
        break;
    case GAP:
        f->counters.gaps++;
        feed_reload_begin(f, false);
        break;
    case MISCOUNTED:
        f->counters.digest_mismatches++;
        feed_reload_begin(f, false);
        break;
    case GARBLED:
        feed_reload_begin(f, false);
        break;
    case FORKED:
        feed_hold_lost(f, FEED_REASON_DIVERGED);
        break;
    }
}

void feed_log_apply(struct feed *f, const struct oplog_entry *entries, size_t count, bool garbled)
{
    size_t shown = 0;
    enum outcome outcome = walk(f, entries, count, &shown);
    if (garbled && outcome == ON_THE_WAY)
        outcome = GARBLED;
    else if (garbled && outcome == ARRIVED)
        f->again = true;
    else if (count == 0)
        outcome = GAP; // though the head is ahead
    if (shown > 0) {
        f->actions->publish(f->ctx);
        if (outcome != ARRIVED) // it continues ours after all, as far as that
            feed_enter(f, FEED_CATCHUP, FEED_REASON_NONE);
    }
    if (f->staging)
        conclude_staged(f, outcome);
    else
        conclude_live(f, outcome);
}
