// SPDX-License-Identifier: Apache-2.0
// Time and the wires. Everything that happens is an event in one queue, ordered by
// time and then by age. A worker's data connection keeps its questions and answers
// in order; bells come on another one, late, doubled, out of order or not at all.
// A cut connection takes along what is under way on it, and the worker notices
// later. A stalled worker gets everything when it runs again.
#include "tests/support/feed_model.h"

#include <string.h>

uint32_t sim_random(uint32_t bound)
{
    sim.random ^= sim.random << 13;
    sim.random ^= sim.random >> 7;
    sim.random ^= sim.random << 17;
    return (uint32_t)((sim.random >> 32) * bound >> 32);
}

bool sim_chance(uint32_t of_256)
{
    return sim_random(256) < of_256;
}

// ------------------------------------------------------------------- the queue

static bool is_earlier(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void sift_up(int i)
{
    struct event e = sim.events[i];
    for (; i > 0 && is_earlier(&e, &sim.events[(i - 1) / 2]); i = (i - 1) / 2)
        sim.events[i] = sim.events[(i - 1) / 2];
    sim.events[i] = e;
}

static struct event pop(void)
{
    struct event first = sim.events[0], last = sim.events[--sim.event_count];
    int i = 0;
    for (int child; (child = 2 * i + 1) < sim.event_count; i = child) {
        if (child + 1 < sim.event_count && is_earlier(&sim.events[child + 1], &sim.events[child]))
            child++;
        if (!is_earlier(&sim.events[child], &last))
            break;
        sim.events[i] = sim.events[child];
    }
    sim.events[i] = last;
    return first;
}

static void put(const struct event *e)
{
    sim_require(sim.event_count < EVENTS, NULL, "too many events under way");
    sim.events[sim.event_count] = *e;
    sift_up(sim.event_count++);
}

static struct event new_event(uint32_t at, enum event_kind kind, const struct worker *w)
{
    struct event e;
    memset(&e, 0, sizeof(e));
    e.at = at;
    e.order = sim.order++;
    e.kind = (uint8_t)kind;
    if (w != NULL) {
        e.worker = w->number;
        e.link = w->link;
    }
    return e;
}

void sim_push(uint32_t delay, enum event_kind kind)
{
    struct event e = new_event(sim.now + delay, kind, NULL);
    put(&e);
}

void sim_push_key(struct worker *w, uint32_t delay, enum event_kind kind, int key, uint16_t turn)
{
    struct event e = new_event(sim.now + delay, kind, w);
    e.what = (uint8_t)key;
    e.turn = turn;
    put(&e);
}

// ------------------------------------------------------------------- questions

static uint32_t later(uint32_t *last)
{
    uint32_t at = sim.now + sim_random(sim.delay_max + 1);
    if (at > *last)
        *last = at;
    return *last;
}

static void ask(struct worker *w, enum reading what, uint16_t after, int key, uint16_t turn)
{
    if (!w->path)
        return;
    struct event e = new_event(later(&w->last_exec), EVENT_ASK, w);
    e.what = (uint8_t)what;
    e.after = after;
    e.count = (uint8_t)key;
    e.turn = turn;
    e.body.sent = sim.now;
    put(&e);
}

void net_ask(struct worker *w, enum reading what, uint16_t after, unsigned part)
{
    ask(w, what, after, (int)part, 0);
}

void net_ask_key(struct worker *w, int key, uint16_t turn)
{
    ask(w, READ_KEY, 0, key, turn);
}

// What that worker finds at the end of its link: a node, or -1.
static int view_of(const struct worker *w, enum head_status *status)
{
    if (!w->isolated)
        return store_view(status);
    *status = HEAD_OK;
    return w->isolated_at;
}

static struct event answer_head(struct worker *w, const struct event *q)
{
    struct event a = new_event(later(&w->last_reply), EVENT_ANSWER_HEAD, w);
    enum head_status status;
    a.node = (int16_t)view_of(w, &status);
    a.what = (uint8_t)status;
    a.confirms = !w->isolated || sim.now < w->isolated_since + NOTICE_MS;
    a.body.sent = q->body.sent;
    return a;
}

static void add_parts(struct event *a, int16_t n)
{
    struct oplog_entry e;
    bool begun = node_of(n)->revision == a->after + 1;
    for (unsigned part = begun ? a->part : 0; a->count < sim.log_page; part++) {
        if (!node_entry(n, part, &e))
            return;
        a->body.log.nodes[a->count] = n;
        a->body.log.parts[a->count++] = (uint8_t)part;
    }
}

static void take_out(struct event *a, uint32_t at)
{
    for (a->count--; at < a->count; at++) {
        a->body.log.nodes[at] = a->body.log.nodes[at + 1];
        a->body.log.parts[at] = a->body.log.parts[at + 1];
    }
}

static struct event answer_log(struct worker *w, const struct event *q)
{
    const struct store *s = &sim.store;
    struct event a = new_event(later(&w->last_reply), EVENT_ANSWER_LOG, w);
    a.after = q->after;
    a.part = q->count;
    for (int i = s->log_first; i < s->log_end && (!s->foreign || w->isolated); i++)
        if (node_of(s->log[i])->revision > q->after &&
            (!w->isolated || node_is_before(s->log[i], w->isolated_at)))
            add_parts(&a, s->log[i]);
    bool faulty = (sim.faults & 1U << FAULT_GARBLE_LOG) != 0 && sim.peace_at == 0;
    if (faulty && a.count > 0 && sim_chance(30))
        take_out(&a, sim_random(a.count));
    if (faulty && sim_chance(40))
        a.what = (uint8_t)(1 + sim_random(2U * a.count + 1)); // see host_answer
    return a;
}

static struct event answer_scan(struct worker *w, const struct event *q)
{
    const struct store *s = &sim.store;
    struct event a = new_event(later(&w->last_reply), EVENT_ANSWER_SCAN, w);
    int n = w->isolated ? w->isolated_at : s->foreign ? sim.foreign_node : s->models;
    uint32_t m = q->after, end = m + sim.scan_page;
    if (m > 0 && sim_chance(50))
        m = sim_random(m); // a page may repeat records
    for (; m < end && m < MODELS && n >= 0; m++)
        if (s->foreign || w->isolated || (int)m != s->corrupt)
            a.body.versions[m] = node_of(n)->version[m];
    a.count = (uint8_t)end;
    a.what = end >= MODELS;
    return a;
}

static struct event answer_key(struct worker *w, const struct event *q)
{
    struct event a = new_event(later(&w->last_reply), EVENT_ANSWER_KEY, w);
    enum head_status status;
    int n = view_of(w, &status);
    a.node = status == HEAD_OK ? (int16_t)n : -1;
    a.what = q->count;
    a.turn = q->turn;
    return a;
}

static void answer(const struct event *q)
{
    struct worker *w = &sim.workers[q->worker];
    if (q->link != w->link || !w->path)
        return;
    struct event a = q->what == READ_HEAD   ? answer_head(w, q)
                     : q->what == READ_LOG  ? answer_log(w, q)
                     : q->what == READ_SCAN ? answer_scan(w, q)
                                            : answer_key(w, q);
    put(&a);
}

// ----------------------------------------------------------------------- bells

static void send_bell(struct worker *w, const struct event *bell)
{
    struct event e = *bell;
    e.at = sim.now + sim_random(sim.bell_delay_max + 1);
    e.order = sim.order++;
    e.worker = w->number;
    put(&e);
}

void net_ring(int n)
{
    const struct node *node = node_of(n);
    struct event e = new_event(0, EVENT_BELL, NULL);
    e.node = (int16_t)n;
    e.body.bell.epoch = (uint16_t)(node->epoch - EPOCH_BASE);
    e.body.bell.revision = node->revision;
    e.body.bell.keys = node->bell_keys;
    e.body.bell.denies = node->bell_denies;
    for (int i = 0; i < sim.worker_count; i++) {
        struct worker *w = &sim.workers[i];
        if (!w->bell_path || w->isolated || sim_chance(sim.bell_loss))
            continue;
        send_bell(w, &e);
        if (sim_chance(40))
            send_bell(w, &e);
    }
}

// Anything that has the form of a bell.
static void forge(struct worker *w)
{
    struct event e = new_event(0, EVENT_BELL, NULL);
    const struct node *node = node_of((int)sim_random((uint32_t)sim.node_count));
    e.node = -1;
    e.body.bell.epoch = (uint16_t)(node->epoch - EPOCH_BASE);
    e.body.bell.revision = (uint16_t)(node->revision + sim_random(3));
    e.body.bell.keys = (uint8_t)sim_random(1U << KEYS);
    e.body.bell.denies = e.body.bell.keys & (uint8_t)sim_random(1U << KEYS);
    send_bell(w, &e);
}

// ---------------------------------------------------------------------- faults

void net_cut(struct worker *w, uint32_t down_ms)
{
    w->link++;
    w->path = false;
    struct event e = new_event(sim.now + sim_random(30), EVENT_LINK_DOWN, w);
    put(&e);
    e = new_event(sim.now + 30 + down_ms, EVENT_LINK_UP, w);
    put(&e);
    sim_trace("link of %d cut for %u", w->number, down_ms);
}

// What waited for the end of its stall happens now.
static void wake(struct worker *w)
{
    for (int i = 0; i < sim.event_count; i++)
        if (sim.events[i].worker == w->number && sim.events[i].at == w->stalled_until)
            sim.events[i].at = sim.now;
    for (int i = 1; i < sim.event_count; i++)
        sift_up(i);
    if (w->stalled_until > sim.now)
        w->stalled_until = sim.now;
}

// A part of the network goes, with the master of yesterday and this worker in it.
static void isolate(struct worker *w)
{
    if (w->isolated) {
        w->isolated = false;
        net_cut(w, sim_random(60));
    } else if (sim.store.head >= 0 && !sim.store.foreign && w->path) {
        w->isolated = true;
        w->isolated_at = (int16_t)sim.store.head;
        w->isolated_since = sim.now;
        sim_trace("worker %d is left alone with node %d", w->number, w->isolated_at);
    }
}

static void crash(struct worker *w)
{
    sim_trace("worker %d crashes", w->number);
    wake(w);
    host_stop(w);
    if ((sim.faults & 1U << FAULT_LOSE_DISK) != 0)
        disk_lose(w);
    host_start(w);
    w->link++;
    w->path = false;
    // It may find nobody, for longer than anything may be served.
    uint32_t down = sim_chance(200) ? sim_random(100) : 2 * MAX_STALE_MS;
    struct event e = new_event(sim.now + 1 + down, EVENT_LINK_UP, w);
    put(&e);
    for (int i = 0; down > 100 && i < 6; i++)
        sim_push_key(w, sim_random(down), EVENT_REQUEST, (int)sim_random(KEYS), 0);
}

void net_fault(enum fault fault, struct worker *w)
{
    if (fault == FAULT_CUT) {
        net_cut(w, sim_chance(200) ? sim_random(300) : sim_random(3 * MAX_STALE_MS));
    } else if (fault == FAULT_BELL_CUT) {
        w->bell_path = !w->bell_path;
    } else if (fault == FAULT_STALL && w->stalled_until <= sim.now) {
        w->stalled_until = sim.now + 1 + sim_random(sim_chance(200) ? 300 : 2 * MAX_STALE_MS);
        sim_trace("worker %d stalls until %u", w->number, w->stalled_until);
    } else if (fault == FAULT_CRASH) {
        crash(w);
    } else if (fault == FAULT_ISOLATE) {
        isolate(w);
    } else if (fault == FAULT_FORGE) {
        forge(w);
    }
}

void net_heal(void)
{
    for (int i = 0; i < sim.worker_count; i++) {
        struct worker *w = &sim.workers[i];
        w->bell_path = true;
        wake(w);
        if (w->isolated)
            isolate(w);
        if (!w->path) // not for as long as planned
            net_cut(w, 1);
    }
}

// -------------------------------------------------------------------- one step

static void link_changes(struct worker *w, const struct event *e)
{
    if (e->link != w->link)
        return; // cut again since
    if (e->kind == EVENT_LINK_DOWN) {
        if (w->told_up)
            host_link(w, false);
    } else {
        w->path = true;
        w->path_since = sim.now;
        host_link(w, true);
    }
}

static void happen_at_worker(struct worker *w, struct event *e)
{
    switch ((enum event_kind)e->kind) {
    case EVENT_TICK:
        host_tick(w);
        e->at = sim.now + POLL_MS - POLL_MS / 10 + sim_random(POLL_MS / 5 + 1);
        e->order = sim.order++;
        put(e);
        break;
    case EVENT_REQUEST:
    case EVENT_RETRY:
        host_request(w, e->what, e->kind == EVENT_RETRY ? FOR_CONFIRM : NOT_YET);
        break;
    case EVENT_FILL_TIMEOUT:
        host_fill_timeout(w, e->what, e->turn);
        break;
    case EVENT_BELL:
        host_bell(w, e);
        break;
    case EVENT_TURN:
        host_turn(w, e->turn);
        break;
    case EVENT_LINK_DOWN:
    case EVENT_LINK_UP:
        link_changes(w, e);
        break;
    default:
        if (e->link == w->link && w->told_up)
            host_answer(w, e);
        break;
    }
}

void sim_step(void)
{
    struct event e = pop();
    sim.now = e.at;
    if (e.kind == EVENT_ASK) {
        answer(&e);
    } else if (e.kind == EVENT_REPAIR) {
        if (sim.peace_at == 0)
            store_repair();
    } else if (e.kind == EVENT_CHAOS) {
        sim_chaos();
    } else {
        struct worker *w = &sim.workers[e.worker];
        if (w->stalled_until > sim.now) {
            e.at = w->stalled_until;
            put(&e);
            return;
        }
        happen_at_worker(w, &e);
    }
}
