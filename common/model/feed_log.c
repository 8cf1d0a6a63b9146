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
// A large revision comes as several entries, its parts, and perhaps in several answers.
// They are one revision if they follow each other without a hole and name the same
// change. A hole, another change or a part that cannot be read makes all of it void,
// which is a gap or garbled as above: until its last part nothing of it is shown.
//
// On the way the copy passes the target's revision. There, and only there, it can
// be compared with a head: the change must be the head's and the records must sum
// up to its digest. Entries past that point are newer than the head; they are
// applied as well, and what is odd among them is judged by a newer head.
//
// A large answer is walked in slices. Between two of them the live copy stands at a
// whole revision: a large one goes to a draft (feed_draft.c), a small one is applied
// in one piece. Keys are told of before the first slice, whatever comes of the rest.
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
    return f->staging || f->drafting ? &f->stage : &f->live;
}

// Where the next entry must join.
struct joint {
    uint64_t revision, change;
    struct feed_torn torn;
};

static struct joint joint_of(struct feed *f)
{
    const struct feed_position *at = &copy_of(f)->at;
    return (struct joint){.revision = at->revision, .change = at->change, .torn = f->torn};
}

static enum outcome check_chain(const struct joint *j, const struct oplog_entry *e)
{
    if (e->revision <= j->revision)
        return GARBLED; // not what was asked for
    if (e->revision > j->revision + 1 || e->part != j->torn.parts)
        return GAP;
    if (e->part > 0 && e->change != j->torn.change)
        return GAP; // the rest of what was begun is not there
    return e->previous == j->change ? ON_THE_WAY : FORKED;
}

static void pass(struct joint *j, const struct oplog_entry *e)
{
    if (e->more)
        j->torn = (struct feed_torn){.parts = e->part + 1, .change = e->change};
    else
        *j = (struct joint){.revision = e->revision, .change = e->change};
}

// ON_THE_WAY: the entry continues the copy.
static enum outcome check_joint(struct feed *f, const struct oplog_entry *e)
{
    struct joint j = joint_of(f);
    enum outcome chain = check_chain(&j, e);
    return chain != ON_THE_WAY || oplog_valid(e->ops) ? chain : GARBLED;
}

// What lies beyond the target and does not fit, or may not be there to its end, is left to
// a newer head.
static bool is_for_later(const struct feed *f, enum outcome joint, const struct oplog_entry *e)
{
    return f->walk.arrived && (joint != ON_THE_WAY || (e->more && e->part == 0));
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
static void mark_key(struct feed *f, const struct oplog_op *op, uint64_t revision)
{
    if (feed_has_catalog(f))
        f->actions->key_changed(f->ctx, &op->key, op->kind == OPLOG_DENY, revision);
}

static void apply_op(struct feed *f, const struct oplog_op *op, uint64_t revision)
{
    struct feed_copy *c = copy_of(f);
    bool staged = c == &f->stage;
    switch (op->kind) {
    case OPLOG_MODEL:
        feed_copy_put(c, op->id, op->record);
        f->actions->put_model(f->ctx, staged, op->id, op->record);
        break;
    case OPLOG_REMOVE:
        feed_copy_remove(c, op->id);
        f->actions->remove_model(f->ctx, staged, op->id);
        break;
    case OPLOG_KEY:
    case OPLOG_DENY:
        mark_key(f, op, revision);
        break;
    }
}

// The revision is applied: the copy stands there.
static void finish_revision(struct feed *f, const struct oplog_entry *e)
{
    struct feed_copy *c = copy_of(f);
    f->torn = (struct feed_torn){.parts = 0};
    c->at.revision = e->revision;
    c->at.change = e->change;
    f->walk.unpublished = !f->staging && !f->drafting;
    if (f->drafting)
        feed_draft_commit(f); // which shows all that was put before, too
    if (!f->staging) {
        f->walk.shown = true;
        feed_note_path(f);
    }
}

static void finish_entry(struct feed *f, const struct oplog_entry *e)
{
    if (e->more)
        f->torn = (struct feed_torn){.parts = e->part + 1, .change = e->change};
    else
        finish_revision(f, e);
    f->walk.begun = false;
    f->walk.at++;
}

static bool has_several_ops(struct slice ops)
{
    (void)slice_take(&ops, '\n');
    return ops.len > 0;
}

static bool is_large(const struct feed *f, const struct oplog_entry *e)
{
    return e->more || e->part > 0 || (e->ops.len > f->slice_bytes && has_several_ops(e->ops));
}

// False: the rest of the entry is for another turn.
static bool apply(struct feed *f, const struct oplog_entry *e)
{
    struct feed_walk *w = &f->walk;
    struct oplog_op op;
    if (!w->begun) {
        bool drafts = is_large(f, e) && !f->staging && !f->drafting;
        if (w->budget < f->slice_bytes && e->ops.len > w->budget)
            return false;
        if (drafts && w->unpublished) // first show what the draft will replace
            return false;
        w->begun = true;
        w->rest = e->ops;
        if (drafts) { // which takes its time: a turn of its own
            feed_draft_begin(f);
            return false;
        }
    }
    if (f->drafting && !feed_draft_is_ready(f))
        return false;
    while (w->rest.len > 0) {
        size_t before = w->rest.len;
        if (w->budget == 0 && (f->drafting || f->staging))
            return false;
        int more = oplog_next(&w->rest, &op);
        CM_ASSERT(more > 0); // it was looked through
        apply_op(f, &op, e->revision);
        size_t used = before - w->rest.len;
        w->budget -= used < w->budget ? used : w->budget;
    }
    finish_entry(f, e);
    return true;
}

// The copy stands where the target stood: what we have is confirmed.
static void arrive(struct feed *f)
{
    if (f->staging)
        feed_reload_commit(f);
    feed_confirmed(f);
}

// Applies what fits in this turn and says why it stopped. *paused: another turn shall
// go on.
static enum outcome walk(struct feed *f, bool *paused)
{
    struct feed_walk *w = &f->walk;
    while (w->at < w->count) {
        const struct oplog_entry *e = &w->entries[w->at];
        enum outcome joint = w->begun ? ON_THE_WAY : check_joint(f, e);
        if (is_for_later(f, joint, e)) {
            f->again = true;
            return ARRIVED;
        }
        if (joint != ON_THE_WAY)
            return joint;
        *paused = !apply(f, e);
        if (*paused)
            break;
        if (w->arrived)
            continue;
        enum outcome outcome = compare(copy_of(f), &f->target);
        if (outcome == ARRIVED)
            arrive(f);
        else if (outcome != ON_THE_WAY)
            return outcome;
        w->arrived = outcome == ARRIVED;
    }
    return w->arrived ? ARRIVED : ON_THE_WAY;
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

// What was applied up to here is shown and told.
static void show(struct feed *f, enum outcome outcome)
{
    struct feed_walk *w = &f->walk;
    if (w->unpublished)
        f->actions->publish(f->ctx);
    if (w->shown && outcome != ARRIVED) // it continues ours after all, as far as that
        feed_enter(f, FEED_CATCHUP, FEED_REASON_NONE);
    w->unpublished = w->shown = false;
}

static void conclude(struct feed *f, enum outcome outcome)
{
    struct feed_walk w = f->walk;
    if (w.garbled && outcome == ON_THE_WAY)
        outcome = GARBLED;
    else if (w.garbled && outcome == ARRIVED)
        f->again = true;
    else if (w.count == 0)
        outcome = GAP; // though the head is ahead
    show(f, outcome);
    if (outcome == ON_THE_WAY) // what is begun goes on with the next answer
        f->walk = (struct feed_walk){.active = false};
    else
        feed_log_drop(f);
    f->reading = FEED_READING_NOTHING;
    if (f->staging)
        conclude_staged(f, outcome);
    else
        conclude_live(f, outcome);
}

void feed_log_go_on(struct feed *f)
{
    bool paused = false;
    f->walk.budget = f->slice_bytes;
    enum outcome outcome = walk(f, &paused);
    if (paused)
        show(f, outcome);
    else
        conclude(f, outcome);
}

static bool names_keys(struct slice ops, bool *valid)
{
    bool found = false;
    struct oplog_op op;
    int more;
    while ((more = oplog_next(&ops, &op)) > 0)
        found = found || op.kind == OPLOG_KEY || op.kind == OPLOG_DENY;
    *valid = more == 0;
    return found;
}

static void mark_keys_of(struct feed *f, const struct oplog_entry *e)
{
    struct slice rest = e->ops;
    struct oplog_op op;
    while (oplog_next(&rest, &op) > 0)
        if (op.kind == OPLOG_KEY || op.kind == OPLOG_DENY)
            mark_key(f, &op, e->revision);
}

// Of the entries that continue what we have. (They are told of again when their entry
// is applied, to whoever got a catalog meanwhile.)
static void mark_keys(struct feed *f)
{
    struct joint j = joint_of(f);
    for (size_t i = 0; i < f->walk.count; i++) {
        const struct oplog_entry *e = &f->walk.entries[i];
        bool valid;
        if (check_chain(&j, e) != ON_THE_WAY)
            return;
        bool named = names_keys(e->ops, &valid);
        if (!valid)
            return;
        if (named)
            mark_keys_of(f, e);
        pass(&j, e);
    }
}

static bool fits_one_turn(const struct feed *f)
{
    size_t bytes = 0;
    bool large = f->drafting;
    for (size_t i = 0; i < f->walk.count; i++) {
        bytes += f->walk.entries[i].ops.len;
        large = large || f->walk.entries[i].more;
    }
    return bytes <= f->slice_bytes && !large;
}

void feed_log_begin(struct feed *f, const struct oplog_entry *entries, size_t count, bool garbled)
{
    f->walk =
        (struct feed_walk){.active = true, .entries = entries, .count = count, .garbled = garbled};
    if (fits_one_turn(f))
        feed_log_go_on(f);
    else
        mark_keys(f);
}

void feed_log_drop(struct feed *f)
{
    f->walk = (struct feed_walk){.active = false};
    f->torn = (struct feed_torn){.parts = 0};
    if (f->drafting)
        feed_draft_drop(f);
}
