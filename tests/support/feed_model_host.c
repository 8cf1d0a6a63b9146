// SPDX-License-Identifier: Apache-2.0
// A worker in miniature: what the feed's actions do to its catalogs and to its key
// table, how a key is filled, and how a request is judged. It keeps the rules that
// a real worker must keep; the model test shows that they suffice.
//
// A cached key is
//   denied      refused, until a record above the denial is read
//   dirty       something changed: never used before it is read again
//   unverified  something may have changed: read again on use; without Redis used
//               as it is, but only for as long as the confirmation from before the
//               reload allows
// A fill names the key being read. What concerns the key meanwhile marks the fill,
// and a marked fill reads again. Its answer counts only at a position that the
// feed has reached.
#include "tests/support/feed_model.h"

#include <stdlib.h>
#include <string.h>

static bool can_fill(const struct worker *w)
{
    enum feed_state state = feed_state(w->feed);
    return w->told_up && (state == FEED_LIVE || state == FEED_CATCHUP);
}

// -------------------------------------------------------------------- actions

static struct worker *acting(void *ctx)
{
    struct worker *w = ctx;
    sim_require(w->inside, w, "an action outside of an event");
    return w;
}

static struct worker *reading(void *ctx, enum reading what)
{
    struct worker *w = acting(ctx);
    sim_require(w->reading == READ_NOTHING, w, "a second read under way");
    sim_require(w->told_up, w, "a read without a link");
    w->reading = what;
    return w;
}

static void read_head(void *ctx)
{
    net_ask(reading(ctx, READ_HEAD), READ_HEAD, 0, 0);
}

static void read_log(void *ctx, uint64_t after, uint32_t part)
{
    sim.torn += part > 0;
    net_ask(reading(ctx, READ_LOG), READ_LOG, (uint16_t)after, part);
}

static void scan_models(void *ctx, bool restart)
{
    struct worker *w = reading(ctx, READ_SCAN);
    if (restart)
        w->cursor = 0;
    net_ask(w, READ_SCAN, w->cursor, 0);
}

static uint16_t *catalog(struct worker *w, bool staged)
{
    sim_require(!staged || w->staging, w, "staged, but nothing is staged");
    w->unshown |= !staged;
    return staged ? w->stage : w->live;
}

static void put_model(void *ctx, bool staged, struct slice id, struct slice record)
{
    uint16_t version = 0;
    for (size_t i = 0; i < record.len; i++)
        version = (uint16_t)(version * 10 + record.ptr[i] - '0');
    catalog(acting(ctx), staged)[id.ptr[0] - 'a'] = version;
}

static void remove_model(void *ctx, bool staged, struct slice id)
{
    catalog(acting(ctx), staged)[id.ptr[0] - 'a'] = 0;
}

static void stage_begin(void *ctx, bool copy)
{
    struct worker *w = acting(ctx);
    sim_require(!w->staging, w, "a second stage");
    w->staging = true;
    w->drafting = copy;
    sim.drafts += copy;
    memset(w->stage, 0, sizeof(w->stage));
    if (copy)
        memcpy(w->stage, w->live, sizeof(w->stage));
    else
        check_stage_begin(w);
}

static void stage_drop(void *ctx)
{
    struct worker *w = acting(ctx);
    sim_require(w->staging, w, "dropped, but nothing is staged");
    sim.drafts_dropped += w->drafting;
    w->drafting = false;
    w->staging = false;
}

static void stage_commit(void *ctx)
{
    struct worker *w = acting(ctx);
    sim_require(w->staging && !w->unshown, w, "commit without a stage or over unshown changes");
    memcpy(w->live, w->stage, sizeof(w->live));
    w->staging = w->drafting = false;
}

static void publish(void *ctx)
{
    acting(ctx)->unshown = false;
}

static void mark_fill(struct worker *w, int key)
{
    w->fills[key].marked = true;
}

// What is not in the table carries no mark either.
static bool is_cached(const struct entry *e)
{
    return e->present || e->denied > 0;
}

static void key_changed(void *ctx, const struct secret_digest *digest, bool deny, uint64_t revision)
{
    struct worker *w = acting(ctx);
    int k = digest->bytes[0];
    struct entry *e = &w->entries[k];
    sim_trace("worker %d: key %d %s at %llu", w->number, k, deny ? "denied" : "changed",
              (unsigned long long)revision);
    e->negative = false;
    // Of two histories the revisions do not compare: only a verified record that is
    // above a denial outlives it.
    if (deny && !(e->present && !e->unverified && e->revision > revision)) {
        if (revision > e->denied)
            e->denied = (uint16_t)revision;
    } else {
        e->dirty = is_cached(e);
    }
    mark_fill(w, k);
    if (w->in_log && revision > w->noted[k])
        w->noted[k] = (uint16_t)revision;
    disk_note(w);
    if (deny)
        disk_denied(w, k, (uint16_t)revision);
}

static void keys_unverified(void *ctx)
{
    struct worker *w = acting(ctx);
    for (int k = 0; k < KEYS; k++) {
        struct entry *e = &w->entries[k];
        if (!e->unverified)
            e->lease = (uint32_t)feed_confirmed_at(w->feed);
        e->unverified = is_cached(e);
        e->negative = false;
        mark_fill(w, k);
        w->noted[k] = (uint16_t)feed_position(w->feed).revision;
    }
}

static void report(void *ctx)
{
    check_report(acting(ctx));
}

static const struct feed_actions actions = {
    .read_head = read_head,
    .read_log = read_log,
    .scan_models = scan_models,
    .put_model = put_model,
    .remove_model = remove_model,
    .stage_begin = stage_begin,
    .stage_drop = stage_drop,
    .stage_commit = stage_commit,
    .publish = publish,
    .key_changed = key_changed,
    .keys_unverified = keys_unverified,
    .report = report,
};

// The table is full: a record goes, a denial stays.
void host_evict(struct worker *w, int key)
{
    struct entry *e = &w->entries[key];
    e->present = false;
    e->dirty = e->unverified = is_cached(e);
}

void host_start(struct worker *w)
{
    const struct worker before = *w;
    memset(w, 0, sizeof(*w));
    w->number = before.number;
    w->bell_path = before.bell_path;
    w->link = before.link;
    w->isolated = before.isolated;
    w->isolated_at = before.isolated_at;
    w->isolated_since = before.isolated_since;
    memcpy(w->forged, before.forged, sizeof(w->forged)); // they may be on disk
    w->at = w->told = w->last_head = -1;
    w->feed = feed_create(&actions, w, REPAIR_WAIT_MS);
    if (sim.slice > 0)
        feed_limit_slice(w->feed, sim.slice);
    disk_load(w);
}

void host_stop(struct worker *w)
{
    feed_destroy(w->feed);
    w->feed = NULL;
}

// ----------------------------------------------------------------------- fills

static void resolve(struct worker *w, int key)
{
    struct fill *f = &w->fills[key];
    f->active = false;
    f->turn++;
    for (; f->waiting > 0; f->waiting--)
        host_request(w, key, FOR_FILL);
}

static void send_fill(struct worker *w, int key)
{
    struct fill *f = &w->fills[key];
    f->marked = f->have = false;
    f->turn++;
    f->sent_revision = (uint16_t)feed_told_revision(w->feed);
    net_ask_key(w, key, f->turn);
}

static void start_fill(struct worker *w, int key)
{
    struct fill *f = &w->fills[key];
    f->waiting++;
    if (f->active)
        return;
    f->active = true;
    f->tries = 1;
    f->number++;
    send_fill(w, key);
    sim_push_key(w, FILL_MS, EVENT_FILL_TIMEOUT, key, f->number);
}

static void read_again(struct worker *w, int key)
{
    struct fill *f = &w->fills[key];
    if (f->tries++ == FILL_TRIES)
        resolve(w, key);
    else
        send_fill(w, key);
}

static void accept(struct worker *w, int key)
{
    struct fill *f = &w->fills[key];
    struct entry *e = &w->entries[key];
    const struct sim_key *record = &node_of(f->node)->keys[key];
    uint16_t denied = record->revision > e->denied ? 0 : e->denied;
    memset(e, 0, sizeof(*e));
    e->denied = denied;
    e->node = f->node;
    if (record->revision > w->denied[key])
        w->denied[key] = 0; // the permission was seen too
    if (record->standing == KEY_UNKNOWN) {
        e->negative = true;
        e->negative_until = sim.now + NEGATIVE_MS;
    } else {
        e->present = true;
        e->standing = record->standing;
        e->revision = record->revision;
    }
    sim_trace("worker %d: key %d read at node %d: standing %d record %u denied %u", w->number, key,
              f->node, record->standing, record->revision, denied);
    resolve(w, key);
}

// The answer is there; may it be used yet?
static void weigh(struct worker *w, int key)
{
    struct fill *f = &w->fills[key];
    if (!can_fill(w) || f->node < 0) {
        resolve(w, key);
        return;
    }
    struct feed_position at = feed_position(w->feed);
    const struct node *n = node_of(f->node);
    bool passed = feed_has_passed(w->feed, n->epoch, n->revision, CHANGE_BASE + (uint64_t)f->node);
    bool counts = !f->marked && n->epoch == at.epoch && n->revision >= f->sent_revision &&
                  (passed || n->revision > at.revision);
    if (!counts)
        read_again(w, key);
    else if (n->revision <= at.revision)
        accept(w, key);
}

static void weigh_all(struct worker *w)
{
    for (int k = 0; k < KEYS; k++)
        if (w->fills[k].active && (w->fills[k].have || !w->told_up))
            weigh(w, k);
}

void host_fill_timeout(struct worker *w, int key, uint16_t number)
{
    struct fill *f = &w->fills[key];
    if (f->active && f->number == number)
        resolve(w, key);
}

// -------------------------------------------------------------------- requests

static enum verdict judge(struct worker *w, int key, enum waited waited)
{
    const struct entry *e = &w->entries[key];
    uint32_t confirmed = (uint32_t)feed_confirmed_at(w->feed);
    uint32_t age = sim.now - (e->unverified ? e->lease : confirmed);
    bool fresh = sim.now - confirmed <= 3 * POLL_MS;
    if (feed_state(w->feed) == FEED_EMPTY)
        return UNKNOWN;
    if ((e->dirty || e->unverified) && can_fill(w))
        return waited == FOR_FILL ? UNKNOWN : FILL;
    if (e->denied > 0)
        return REFUSE;
    if (e->dirty)
        return UNKNOWN;
    if (e->negative && e->negative_until == sim.now + NEGATIVE_MS)
        return REFUSE; // read just now
    if (e->negative && e->negative_until > sim.now && can_fill(w) && fresh)
        return REFUSE;
    if (!e->present)
        return can_fill(w) && waited != FOR_FILL ? FILL : UNKNOWN;
    if (age > MAX_STALE_MS)
        return UNKNOWN;
    if (!fresh && w->told_up && waited == NOT_YET)
        return CONFIRM;
    return e->standing == KEY_GOOD ? PASS : REFUSE;
}

void host_request(struct worker *w, int key, enum waited waited)
{
    static const char *const words[] = {"passes", "refused", "unknown", "fills", "confirms"};
    enum verdict verdict = judge(w, key, waited);
    sim_trace("worker %d: request with key %d %s", w->number, key, words[verdict]);
    if (verdict == PASS) {
        check_passed(w, key);
    } else if (verdict == REFUSE) {
        check_refused(w, key);
    } else if (verdict == FILL) {
        start_fill(w, key);
    } else if (verdict == CONFIRM) {
        host_confirm(w);
        sim_push_key(w, CONFIRM_MS, EVENT_RETRY, key, 0);
    }
    if (verdict <= UNKNOWN)
        w->verdicts[key] = verdict;
}

// ------------------------------------------------------- what comes in to the feed

static void settled(struct worker *w)
{
    w->inside = false;
    check_settled(w);
    disk_settled(w);
    weigh_all(w);
}

void host_confirm(struct worker *w)
{
    w->inside = true;
    feed_confirm(w->feed);
    settled(w);
}

void host_tick(struct worker *w)
{
    w->inside = true;
    feed_on_tick(w->feed);
    settled(w);
}

void host_link(struct worker *w, bool up)
{
    sim_trace("worker %d: link %s", w->number, up ? "up" : "down");
    w->told_up = up;
    w->reading = READ_NOTHING;
    w->inside = true;
    feed_on_link(w->feed, up);
    settled(w);
}

void host_bell(struct worker *w, const struct event *e)
{
    uint64_t epoch = EPOCH_BASE + e->body.bell.epoch;
    struct bell bell = {.epoch = epoch,
                        .revision = e->body.bell.revision,
                        .change = CHANGE_BASE + (uint64_t)(e->node >= 0 ? e->node : 0x1000),
                        .previous = CHANGE_BASE};
    struct feed_position at = feed_position(w->feed);
    sim_trace("worker %d: bell of node %d epoch %llx revision %llu keys %x denies %x", w->number,
              e->node, (unsigned long long)epoch, (unsigned long long)bell.revision,
              e->body.bell.keys, e->body.bell.denies);
    for (int k = 0; k < KEYS; k++) {
        if ((e->body.bell.keys & 1 << k) == 0)
            continue;
        struct bell_key *key = &bell.keys[bell.key_count++];
        key->deny = (e->body.bell.denies & 1 << k) != 0;
        memset(&key->digest, k, sizeof(key->digest));
        if (key->deny)
            check_deny_seen(w, k, (uint16_t)bell.revision, e->node < 0,
                            epoch == at.epoch && bell.revision > at.revision);
    }
    w->inside = true;
    feed_on_bell(w->feed, &bell);
    settled(w);
}

static void answer_head(struct worker *w, const struct event *e)
{
    struct head head;
    enum head_status status = (enum head_status)e->what;
    sim_trace("worker %d: head status %d node %d sent %u", w->number, e->what, e->node,
              e->body.sent);
    w->last_sent = e->body.sent;
    if (e->confirms)
        w->last_head = status == HEAD_OK ? e->node : -1;
    if (status == HEAD_OK) {
        const struct node *n = node_of(e->node);
        head.format = HEAD_FORMAT;
        head.epoch = n->epoch;
        head.parent_count = n->parent_count;
        memcpy(head.parents, n->parents, sizeof(head.parents));
        head.revision = n->revision;
        head.change = CHANGE_BASE + (uint64_t)e->node;
        head.digest = n->digest;
        head.models = n->models;
    }
    feed_on_head(w->feed, status, &head, e->body.sent, e->confirms);
    sim.distrusted += !e->confirms;
}

// What else happens at that time may come before it.
static void next_turn(struct worker *w)
{
    if (!feed_wants_turn(w->feed))
        return;
    w->reading = READ_LOG;
    sim_push_key(w, sim_chance(60) ? sim_random(5) : 0, EVENT_TURN, 0, w->walk);
}

// e->what: 0 whole; 1..count: that entry's operations are damaged; above: it could
// not be read at all.
static void answer_log(struct worker *w, const struct event *e)
{
    struct oplog_entry *entries = w->entries_of_log;
    size_t count = e->count;
    bool garbled = e->what > count;
    if (garbled)
        count = e->what - count - 1;
    for (size_t i = 0; i < count; i++) {
        bool is_there = node_entry(e->body.log.nodes[i], e->body.log.parts[i], &entries[i]);
        sim_require(is_there, w, "the test itself: no such part");
        if (e->what == i + 1)
            entries[i].ops = SLICE_LIT("X a\nX");
    }
    sim_trace("worker %d: log after %u, part %u: %zu entries%s", w->number, e->after, e->part,
              count, garbled ? ", garbled" : "");
    check_log(w, e, entries, count, garbled);
    w->walk++;
    w->in_log = true;
    feed_on_log(w->feed, entries, count, garbled);
    w->in_log = false;
    next_turn(w);
}

void host_turn(struct worker *w, uint16_t walk)
{
    if (walk != w->walk || !feed_wants_turn(w->feed))
        return;
    w->reading = READ_NOTHING;
    w->inside = w->in_log = true;
    feed_on_turn(w->feed);
    w->in_log = false;
    next_turn(w);
    settled(w);
}

static void answer_scan(struct worker *w, const struct event *e)
{
    struct feed_record records[MODELS];
    char text[MODELS][4];
    size_t count = 0;
    for (int m = 0; m < MODELS; m++) {
        uint16_t v = e->body.versions[m];
        if (v == 0)
            continue;
        text[m][0] = (char)('0' + v / 100);
        text[m][1] = (char)('0' + v / 10 % 10);
        text[m][2] = (char)('0' + v % 10);
        records[count++] = (struct feed_record){{&"abcdefgh"[m], 1}, {text[m], 3}};
    }
    sim_trace("worker %d: scan: %zu records%s", w->number, count, e->what ? ", done" : "");
    w->cursor = e->count;
    feed_on_scan(w->feed, records, count, e->what);
}

void host_answer(struct worker *w, const struct event *e)
{
    if (e->kind == EVENT_ANSWER_KEY) {
        struct fill *f = &w->fills[e->what];
        if (!f->active || f->turn != e->turn)
            return;
        f->have = true;
        f->node = e->node;
        if (e->node >= 0 && node_of(e->node)->revision > feed_position(w->feed).revision)
            host_confirm(w); // weighs it too
        else
            weigh(w, e->what);
        return;
    }
    w->reading = READ_NOTHING;
    w->inside = true;
    if (e->kind == EVENT_ANSWER_HEAD)
        answer_head(w, e);
    else if (e->kind == EVENT_ANSWER_LOG)
        answer_log(w, e);
    else
        answer_scan(w, e);
    settled(w);
}
