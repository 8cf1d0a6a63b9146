// SPDX-License-Identifier: Apache-2.0
// The journal's writes are held against the log, the newest first, until one is
// found in it: from there on the store lost them. What they left behind goes back
// in (replay.c) as one revision, or several when it is much.
//
//   the store is behind us, or has other changes where ours should be: the
//       revision begins a new history that continues ours, so that every worker
//       loads it at once, whichever of the two it has seen. It does even when
//       there is nothing to bring back (the journal never had it): revisions that
//       somebody has seen must not be given out again.
//   another admin has begun such a history already: ours go on from it.
//
// Of two admins that try the first, one wins the compare-and-set; the other reads
// again and does the second.
//
// Between two reads the store may become another one: empty, foreign, of a newer
// program. Then nothing was repaired, and the journal's writes stay to be brought back.
#include "admin/repair.h"

#include <stdlib.h>

#include "admin/audit.h"
#include "admin/lineage.h"
#include "admin/replay.h"
#include "common/base/clock.h"
#include "common/base/log.h"

enum {
    LOOK_STEP = 32,
    BRANCH_MAX = 4000 // entries of the log; an import is some hundred
};

enum phase { MATCHING, READING, FILLING };

struct repair {
    struct repair_options options;
    struct lineage lineage;
    enum phase phase;
    size_t looked; // entries of the journal that were asked for, from the newest back
    size_t *slots; // [looked]: their change in the log
    size_t base_slot;
    bool base_asked, prepared;
    size_t first; // the oldest one that is lost; journal_count = none
    size_t oldest_slot, branch_slot;
    size_t lost_count;
    uint64_t *lost; // changes of those that can be brought back,
    size_t missing; // and how many cannot: the disk does not give them
    bool filled;    // the last plan was made for a store that is ours
    enum guard_reason found;
    struct replay_branch branch;
    struct replay replay;
    size_t revisions;
    uint64_t revision; // of the last commit
    bool begun;        // a history
    uint64_t started_ms;
};

static void fini(struct repair *r)
{
    replay_fini(&r->replay);
    replay_branch_fini(&r->branch);
    free(r->slots);
    free(r->lost);
    free(r);
}

static size_t entries(const struct repair *r)
{
    return r->options.journal == NULL ? 0 : journal_count(r->options.journal);
}

static const struct journal_entry *entry_back(const struct repair *r, size_t i)
{
    return journal_at(r->options.journal, entries(r) - 1 - i);
}

// --- matching

static void ask_more(struct repair *r, struct fetch *f)
{
    size_t to = r->looked + LOOK_STEP < entries(r) ? r->looked + LOOK_STEP : entries(r);
    r->slots = xrealloc(r->slots, (to + 1) * sizeof(*r->slots));
    for (; r->looked < to; r->looked++)
        r->slots[r->looked] = fetch_log_change(f, entry_back(r, r->looked)->revision);
}

static void ask(void *ctx, struct fetch *f)
{
    struct repair *r = ctx;
    lineage_ask(&r->lineage, f);
    if (r->prepared) {
        r->phase = FILLING;
        replay_ask(&r->replay, f);
        return;
    }
    r->phase = MATCHING;
    r->looked = 0;
    r->base_asked = false;
    r->oldest_slot = fetch_log(f, 0, 1);
    ask_more(r, f);
}

static bool is_change(const struct fetch *f, size_t slot, uint64_t change)
{
    char hex[HEAD_ID_HEX_LEN + 1];
    head_id_hex(change, hex);
    return slice_equal(fetch_result(f, slot), slice_of(hex));
}

// Below the log's oldest entry nothing can be said, nor of a history that the
// store does not continue.
static bool is_comparable(const struct repair *r, const struct fetch *f, const struct head *head,
                          const struct journal_entry *e)
{
    const struct head *known = &r->options.guard->known;
    uint64_t oldest = head->revision + 1;
    if (fetch_list_count(f, r->oldest_slot) > 0 &&
        !slice_parse_u64(fetch_list_at(f, r->oldest_slot, 0), UINT64_MAX, &oldest))
        return false;
    return e->revision >= oldest &&
           (e->epoch == head->epoch || e->epoch == known->epoch ||
            head_descends_from(head, e->epoch) || head_descends_from(known, e->epoch));
}

// Finds the oldest lost entry among those looked at. True when the search is over.
static bool match(struct repair *r, const struct fetch *f, const struct head *head)
{
    r->first = entries(r);
    r->branch.common = 0;
    for (size_t i = 0; i < r->looked; i++) {
        const struct journal_entry *e = entry_back(r, i);
        if (e->state != JOURNAL_DONE)
            continue;
        bool contained = is_change(f, r->slots[i], e->change);
        if (contained)
            r->branch.common = e->revision;
        if (contained || !is_comparable(r, f, head, e))
            return true;
        r->first = entries(r) - 1 - i;
    }
    return r->looked == entries(r);
}

// The write before the first lost one may be another admin's.
static void ask_branch(struct repair *r, struct fetch *f)
{
    r->phase = READING;
    r->base_asked = r->first < entries(r);
    if (r->base_asked)
        r->base_slot = fetch_log_change(f, journal_at(r->options.journal, r->first)->revision - 1);
    r->branch_slot = fetch_log(f, r->branch.common, BRANCH_MAX);
}

static void prepare(struct repair *r, struct fetch *f)
{
    const struct journal *j = r->options.journal;
    if (r->base_asked) {
        const struct journal_entry *e = journal_at(j, r->first);
        if (e->revision > 0 && is_change(f, r->base_slot, e->previous))
            r->branch.common = e->revision - 1;
    }
    r->branch.unknown = fetch_list_count(f, r->branch_slot) / 3 == BRANCH_MAX;
    replay_branch_read(&r->branch, f, r->branch_slot);
    replay_fini(&r->replay);
    r->lost_count = r->missing = 0;
    r->lost = xrealloc(r->lost, (entries(r) - r->first + 1) * sizeof(*r->lost));
    for (size_t i = r->first; i < entries(r); i++) {
        const struct journal_entry *e = journal_at(j, i);
        if (e->state != JOURNAL_DONE)
            continue;
        if (replay_add(&r->replay, j, i, r->options.keyspace)) {
            r->lost[r->lost_count++] = e->change;
            continue;
        }
        r->missing++;
        LOG_ERROR("journal_not_read", LOG_U64("revision", e->revision),
                  LOG_CSTR("hint", "what this write changed is not brought back"));
    }
    replay_seal(&r->replay);
    replay_ask(&r->replay, f);
    r->phase = FILLING;
}

// --- the commit

static void add_audit(const struct repair *r, struct write *w)
{
    struct buf entry = {.len = 0};
    const struct audit audit = {.actor = "cm-admin",
                                .action = "store.repair",
                                .resource = "/store",
                                .at_s = w->now_s,
                                .address = "",
                                .request_id = "",
                                .revision = commit_revision(w->commit),
                                .diff = w->diff,
                                .restored = r->replay.audit,
                                .missing = r->missing};
    audit_write(&entry, &audit);
    commit_audit(w->commit, buf_slice(&entry));
    buf_fini(&entry);
}

static enum txn_verdict fill(struct repair *r, struct fetch *f, const struct head *head,
                             struct commit *c, bool begins)
{
    struct write w = {
        .fetch = f, .head = head, .commit = c, .now_s = clock_wall_s(), .diff = json_array()};
    if (begins) {
        struct commit_origin origin;
        lineage_fill(&r->lineage, f, r->options.guard, r->options.journal, &origin);
        origin.digest = head->digest;
        origin.models = head->models;
        commit_begin_history(c, &origin);
    }
    bool all = replay_fill(&r->replay, &w, &r->branch);
    // That something stays lost is a revision, too: it is on record, and what cannot be
    // read is the newest of our writes no more, so that the search for it ends.
    bool on_record = r->missing == 0 || r->revisions > 0;
    bool nothing = commit_is_empty(c) && !begins && on_record;
    r->filled = true;
    if (!nothing)
        add_audit(r, &w);
    json_decref(w.diff);
    r->revision = commit_revision(c);
    return nothing ? TXN_STOP : all ? TXN_COMMIT : TXN_COMMIT_MORE;
}

static enum txn_verdict plan(void *ctx, struct fetch *f, const struct head *head, struct commit *c)
{
    struct repair *r = ctx;
    struct head found;
    enum guard_reason reason = guard_judge(r->options.guard, fetch_head(f, &found), head);
    r->filled = false;
    r->found = reason;
    if (reason == GUARD_EMPTY || reason == GUARD_FOREIGN || reason == GUARD_NEWER_FORMAT)
        return TXN_STOP; // it is something else by now
    // A divergence was seen by a closer look than at the head.
    bool lost = reason != GUARD_FINE || (r->options.guard->reason != GUARD_FINE &&
                                         head->epoch == r->options.guard->known.epoch);
    bool begins = lost && r->revisions == 0;
    switch (r->phase) {
    case MATCHING:
        if (!match(r, f, head)) {
            ask_more(r, f);
            return TXN_READ_MORE;
        }
        ask_branch(r, f);
        return TXN_READ_MORE;
    case READING:
        prepare(r, f);
        return TXN_READ_MORE;
    case FILLING:
        break;
    }
    r->begun |= begins;
    return fill(r, f, head, c, begins);
}

static void committed(void *ctx, uint64_t revision)
{
    struct repair *r = ctx;
    r->revisions++;
    r->prepared = true;
    replay_committed(&r->replay);
    LOG_INFO("audit", LOG_CSTR("action", "store.repair"), LOG_CSTR("resource", "/store"),
             LOG_CSTR("actor", "cm-admin"), LOG_U64("revision", revision));
}

// What was lost is in the store again, or something newer stands for it. (What could not
// be read is not: an accept reads it once more.)
static void void_lost(const struct repair *r)
{
    for (size_t i = 0; i < r->lost_count; i++)
        journal_settle(r->options.journal, r->lost[i], JOURNAL_VOID);
}

static void done(void *ctx, enum txn_result result, struct slice text, struct problem *problem)
{
    struct repair *r = ctx;
    void (*on_done)(void *) = r->options.on_done;
    void *owner = r->options.ctx;
    (void)text;
    if (r->filled && (result == TXN_COMMITTED || result == TXN_STOPPED)) {
        LOG_WARN("store_repaired", LOG_U64("lost", r->lost_count + r->missing),
                 LOG_U64("restored", r->replay.restored), LOG_U64("missing", r->missing),
                 LOG_U64("revision", r->revision), LOG_CSTR("history", r->begun ? "new" : "same"),
                 LOG_U64("elapsed_ms", clock_boot_ms() - r->started_ms));
        void_lost(r);
    } else {
        LOG_WARN("store_not_repaired", LOG_I64("result", result),
                 LOG_CSTR("found", guard_reason_name(r->found)),
                 LOG_STR("why", buf_slice(&problem->detail)));
    }
    fini(r);
    on_done(owner);
}

void repair_start(const struct repair_options *options)
{
    static const struct txn_hooks hooks = {
        .unguarded = true, .ask = ask, .plan = plan, .committed = committed, .done = done};
    struct repair *r = xcalloc(1, sizeof(*r));
    r->options = *options;
    r->started_ms = clock_boot_ms();
    txn_start(options->txns, &hooks, r);
}
