// SPDX-License-Identifier: Apache-2.0
// What must be true after every event, report and answer.
//
//   served    the catalog shown is the store's at the worker's (epoch, revision,
//             change), and so are digest and count
//   order     the position never falls but by a counted fall, and that only after
//             the store has been seen without our writes for the repair wait
//   held      what is served is only ever replaced by a continuation of it, by the
//             permitted fall, or where the log cannot tell (trimmed, damaged)
//   refused   401 only for a key that is bad at the worker's position, or was denied
//             and not permitted since
//   passed    200 only for a key that is good at the worker's position; never after
//             a denial that came in; not later than the bounds after a revocation
//   told      a report in state live comes after all that its revision stands for
//   whole     while an answer is taken in slice by slice, too
//   settled   one read at a time, no stage without one, nothing half shown
#include "tests/support/feed_model.h"

#include <string.h>

static bool can_fill(const struct worker *w)
{
    enum feed_state state = feed_state(w->feed);
    return w->told_up && (state == FEED_LIVE || state == FEED_CATCHUP);
}

static void check_served(const struct worker *w, int n, const struct feed_position *at)
{
    const struct node *node = node_of(n);
    sim_require(n >= 0, w, "served: nothing was ever at change %llx",
                (unsigned long long)at->change);
    // An entry of a new epoch may come by the log before the head that names it.
    sim_require(node->epoch == at->epoch || node_has_parent(n, at->epoch), w, "served: epoch");
    sim_require(node->revision == at->revision, w, "served: revision");
    sim_require(digest_equal(node->digest, at->digest) && node->models == at->models, w,
                "served: digest");
    sim_require(memcmp(node->version, w->live, sizeof(w->live)) == 0, w,
                "served: the models are not those of node %d", n);
}

// The entries that came in by the log and were taken: their denials are seen.
static void note_denials(struct worker *w, int n)
{
    for (int i = 0; i < w->came_count; i++) {
        const struct node *came = node_of(w->came[i]);
        if (came->bell_denies == 0 || !node_is_before(w->came[i], n))
            continue;
        for (int k = 0; k < KEYS; k++)
            if ((came->bell_denies & 1 << k) != 0 && came->revision > w->denied[k])
                w->denied[k] = came->revision;
    }
    if (!feed_wants_turn(w->feed))
        w->came_count = 0;
}

// Does its history go on from that epoch? Its head names the newest epochs only; one that
// it came from, and that it names, may have named this one.
static bool continues(int n, uint64_t epoch)
{
    while (!node_has_parent(n, epoch)) {
        int before = node_of(n)->before;
        if (before < 0)
            return false;
        uint64_t older = node_of(before)->epoch;
        if (older != node_of(n)->epoch && !node_has_parent(n, older))
            return false;
        n = before;
    }
    return true;
}

static void check_moved(struct worker *w, int n, const struct feed_position *at, bool fell)
{
    bool follows = node_is_before(w->at, n);
    bool repaired = at->epoch != w->at_epoch && continues(n, w->at_epoch);
    if (at->epoch == w->at_epoch && at->revision < node_of(w->at)->revision)
        sim_require(fell, w, "order: fell to %llu uncounted", (unsigned long long)at->revision);
    if (fell)
        sim_require(w->fall_due, w, "order: fell before its time");
    sim_require(follows || repaired || fell || (w->gap_seen && at->epoch == w->at_epoch), w,
                "held: node %d replaced by node %d, which does not continue it", w->at, n);
}

void check_settled(struct worker *w)
{
    struct feed_position at = feed_position(w->feed);
    enum feed_reason reason = feed_reason(w->feed);
    uint64_t falls = feed_counters(w->feed)->falls;
    sim_require(!w->unshown, w, "settled: changes that are not shown");
    sim_require(!w->staging || w->reading != READ_NOTHING, w, "settled: a stage without a read");
    sim_require((feed_state(w->feed) == FEED_EMPTY) == (at.epoch == 0), w, "settled: empty or not");
    if (at.epoch != 0) {
        int n = node_of_change(at.change);
        check_served(w, n, &at);
        if (w->at >= 0 && (n != w->at || falls != w->falls))
            check_moved(w, n, &at, falls != w->falls);
        note_denials(w, n);
        w->at = n;
        w->at_epoch = at.epoch;
    }
    w->falls = falls;
    bool lost = reason == FEED_REASON_WENT_BACK || reason == FEED_REASON_DIVERGED;
    if (lost && !w->suspect_lost)
        w->lost_since = w->last_sent;
    w->suspect_lost = lost;
    if (feed_state(w->feed) == FEED_LIVE) {
        w->gap_seen = w->fall_due = false;
        sim_require(w->told == w->at, w, "told: live, but not where");
        sim_require(w->last_head >= 0 && node_is_before(w->last_head, w->at), w,
                    "settled: live against the head that was read last");
    }
}

void check_stage_begin(struct worker *w)
{
    w->fall_due = w->suspect_lost && w->last_sent - w->lost_since >= REPAIR_WAIT_MS;
}

void check_log(struct worker *w, const struct event *e, const struct oplog_entry *entries,
               size_t count, bool garbled)
{
    uint64_t next = e->after + 1;
    uint32_t part = e->part;
    bool whole = count > 0 && !garbled && e->what == 0;
    w->came_count = 0;
    for (size_t i = 0; i < count; i++) {
        whole &= entries[i].revision == next && entries[i].part == part;
        part = entries[i].more ? part + 1 : 0;
        next += !entries[i].more;
        if (!w->staging && e->what == 0)
            w->came[w->came_count++] = e->body.log.nodes[i];
    }
    w->gap_seen |= !whole && !w->staging;
}

void check_report(struct worker *w)
{
    sim_require(!w->unshown, w, "told: before it was shown");
    w->told = -1;
    if (feed_state(w->feed) != FEED_LIVE)
        return;
    struct feed_position at = feed_position(w->feed);
    int n = node_of_change(at.change);
    check_served(w, n, &at);
    for (int k = 0; k < KEYS; k++)
        sim_require(w->noted[k] >= node_of(n)->keys[k].revision, w,
                    "told: revision %llu, but of key %d only %u", (unsigned long long)at.revision,
                    k, w->noted[k]);
    w->told = n;
}

void check_deny_seen(struct worker *w, int key, uint16_t revision, bool forged, bool for_us)
{
    if (forged)
        w->forged[key][revision / 64 % 4] |= UINT64_C(1) << revision % 64;
    else if (for_us && revision > w->denied[key])
        w->denied[key] = revision;
}

static bool was_forged(const struct worker *w, int key, uint16_t revision)
{
    return (w->forged[key][revision / 64 % 4] >> revision % 64 & 1) != 0;
}

// In the worker's own history, on whatever branch. (Heads forget epochs in time.)
static bool was_denied(const struct worker *w, int key, uint16_t revision)
{
    for (int n = 0; n < sim.node_count; n++) {
        const struct node *node = node_of(n);
        if (node->revision == revision && (node->bell_denies & 1 << key) != 0 &&
            (sim.epochs > HEAD_PARENTS_MAX || node->epoch == w->at_epoch ||
             node_has_parent(n, w->at_epoch) || node_has_parent(w->at, node->epoch)))
            return true;
    }
    return false;
}

// Is it on its way to another branch, which denies the key there? The branch's later
// permission has not come, and that of the branch it leaves is another history's.
static bool is_denied_ahead(const struct worker *w, int key, uint16_t revision)
{
    if (feed_state(w->feed) == FEED_LIVE || sim.store.head < 0)
        return false;
    for (int n = 0; n < sim.node_count; n++)
        if (node_of(n)->revision == revision && (node_of(n)->bell_denies & 1 << key) != 0 &&
            node_is_before(n, sim.store.head) && !node_is_before(n, w->at))
            return true;
    return false;
}

// Is the store's head of the worker's history?
static bool is_ours(const struct worker *w, int head)
{
    return node_of(head)->epoch == w->at_epoch || node_has_parent(head, w->at_epoch);
}

// Since when nothing stood between the worker and the store; NEVER: something does.
static uint32_t undisturbed_since(const struct worker *w)
{
    const struct store *s = &sim.store;
    uint32_t since = s->fault_at + REPAIR_WAIT_MS + 3 * POLL_MS;
    if (s->foreign || s->newer || s->garbled || s->corrupt >= 0 || s->head < 0 || !w->path ||
        w->isolated || !w->told_up || !is_ours(w, s->head))
        return NEVER;
    if (w->path_since > since)
        since = w->path_since;
    return w->stalled_until > since ? w->stalled_until : since;
}

static void check_bounds(const struct worker *w, int key)
{
    uint32_t bad = sim.store.bad_since[key], since = undisturbed_since(w);
    if (bad == NEVER)
        return;
    sim_require(sim.now <= bad + MAX_STALE_MS + NOTICE_MS, w, "passed: key %d is bad since %u", key,
                bad);
    if (since == NEVER)
        return;
    uint32_t bound = 3 * POLL_MS + 48 * sim.delay_max;
    if ((sim.faults & 1U << FAULT_GARBLE_LOG) != 0)
        bound *= 3; // reloads
    sim_require(sim.now <= (bad > since ? bad : since) + bound, w,
                "passed: key %d is bad since %u, undisturbed since %u", key, bad, since);
}

void check_passed(struct worker *w, int key)
{
    const struct entry *e = &w->entries[key];
    sim.passed++;
    const struct node *truth = node_of(e->unverified ? e->node : w->at);
    sim_require(!e->unverified || !can_fill(w), w, "passed: key %d was not verified", key);
    sim_require(truth->keys[key].standing == KEY_GOOD, w, "passed: key %d is not good at node %d",
                key, (int)(truth - sim.nodes));
    sim_require(e->unverified || e->revision == truth->keys[key].revision, w,
                "passed: key %d with record %u, but it is at %u", key, e->revision,
                truth->keys[key].revision);
    sim_require(!feed_is_from_disk(w->feed) || e->revision <= node_of(w->at)->revision, w,
                "passed: key %d is newer than the catalog from disk", key);
    sim_require(e->revision > w->denied[key], w, "passed: key %d was denied at %u", key,
                w->denied[key]);
    check_bounds(w, key);
}

void check_refused(struct worker *w, int key)
{
    const struct entry *e = &w->entries[key];
    const struct sim_key *truth = &node_of(w->at)->keys[key];
    bool blind = (e->dirty || e->unverified) && !can_fill(w);
    sim.refused++;
    if (e->denied > 0) {
        if (was_forged(w, key, e->denied))
            return; // who may ring the bell may refuse
        sim_require(was_denied(w, key, e->denied), w, "refused: key %d was not denied at %u", key,
                    e->denied);
        sim_require(truth->standing != KEY_GOOD || truth->revision <= e->denied || blind ||
                        is_denied_ahead(w, key, e->denied),
                    w, "refused: key %d was permitted at %u after it was denied at %u", key,
                    truth->revision, e->denied);
        return;
    }
    if (blind)
        truth = &node_of(e->node)->keys[key];
    sim_require(truth->standing != KEY_GOOD, w, "refused: key %d is good", key);
}

bool check_converged(const struct worker *w)
{
    enum head_status status;
    int head = store_view(&status);
    struct feed_position at = feed_position(w->feed);
    if (!w->path || !w->told_up || w->last_sent < sim.peace_at)
        return false;
    if (w->at >= 0 && !is_ours(w, head))
        return feed_reason(w->feed) == FEED_REASON_FOREIGN;
    return feed_state(w->feed) == FEED_LIVE && node_of_change(at.change) == head &&
           at.epoch == node_of(head)->epoch;
}
