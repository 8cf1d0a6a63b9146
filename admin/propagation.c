// SPDX-License-Identifier: Apache-2.0
// A count of workers is only as good as the subscription that it was heard on.
// It is trusted when
//   - the subscription has been up for longer than a worker takes between two
//     reports, so that everybody who is there has been heard, and
//   - for a revision of our own, its bell has come back on that subscription. A
//     worker says hello before it reads its first head; one that could have read
//     a head below our revision has said so before our bell, on the same channel
//     order, and is counted.
// Without trust a wait goes on to its deadline and says complete: false.
//
// refused_everywhere_by bounds the damage when a worker cannot be reached: what
// the change forbids is refused by everybody when the last worker that has not
// applied it has passed its CM_MAX_STALE_S. Counted from the write, because a
// later confirmed read would have shown the change. (Where Redis fails over, a read
// of the old master may pass for confirmed a little longer: slack_ms.)
#include "admin/propagation.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/model/doc.h"

enum { SETTLE_MS = 1500 }; // workers report every second

struct propagation_wait {
    struct propagation_wait *next;
    struct propagation_goal goal;
    void (*on_done)(void *ctx, struct slice json);
    void *ctx;
};

struct propagation {
    const struct roster *roster;
    uint64_t max_stale_s, slack_ms;
    bool up;
    uint64_t up_since_ms;
    uint64_t bell_epoch, bell_revision; // highest that came back on this subscription
    struct propagation_wait *waits;
    size_t waiting;
};

struct propagation *propagation_create(const struct roster *roster, uint64_t max_stale_s,
                                       uint64_t slack_ms)
{
    struct propagation *p = xcalloc(1, sizeof(*p));
    p->roster = roster;
    p->max_stale_s = max_stale_s;
    p->slack_ms = slack_ms;
    return p;
}

void propagation_destroy(struct propagation *p)
{
    if (p == NULL)
        return;
    CM_ASSERT(p->waits == NULL);
    free(p);
}

static bool trusted(const struct propagation *p, const struct propagation_goal *goal,
                    uint64_t now_ms)
{
    if (!p->up || now_ms - p->up_since_ms < SETTLE_MS)
        return false;
    return !goal->announced || (p->bell_epoch == goal->epoch && p->bell_revision >= goal->revision);
}

static size_t applied(const struct propagation *p, const struct propagation_goal *goal)
{
    size_t n = 0;
    for (size_t i = 0; i < roster_count(p->roster); i++)
        n += roster_has_applied(roster_at(p->roster, i), goal->epoch, goal->revision);
    return n;
}

// The longest that anybody who has not applied it may go on; 0 = for ever.
static uint64_t longest_stale_s(const struct propagation *p, const struct propagation_goal *goal)
{
    uint64_t longest = 0;
    bool any = false;
    for (size_t i = 0; i < roster_count(p->roster); i++) {
        const struct roster_worker *w = roster_at(p->roster, i);
        if (roster_has_applied(w, goal->epoch, goal->revision))
            continue;
        if (w->ack.max_stale_s == 0)
            return 0;
        any = true;
        longest = w->ack.max_stale_s > longest ? w->ack.max_stale_s : longest;
    }
    return any ? longest : p->max_stale_s;
}

static void write_by(const struct propagation *p, const struct propagation_goal *goal,
                     bool complete, uint64_t now_ms, struct buf *out)
{
    uint64_t stale_s = complete ? 0 : longest_stale_s(p, goal);
    char text[CLOCK_RFC3339_MAX];
    if (!complete && stale_s == 0) {
        buf_append_str(out, "null");
        return;
    }
    // Rounded up to the next second.
    int64_t ms = goal->written_ms + 999 +
                 (int64_t)(complete ? now_ms - goal->started_ms : stale_s * 1000 + p->slack_ms);
    clock_format_rfc3339(ms / 1000, "Z", text);
    doc_write_string(out, slice_of(text));
}

static void write_lagging(const struct propagation *p, const struct propagation_goal *goal,
                          struct buf *out)
{
    bool first = true;
    buf_append_char(out, '[');
    for (size_t i = 0; i < roster_count(p->roster); i++) {
        const struct roster_worker *w = roster_at(p->roster, i);
        if (roster_has_applied(w, goal->epoch, goal->revision))
            continue;
        if (!first)
            buf_append_char(out, ',');
        first = false;
        doc_write_string(out, slice_of(w->ack.id));
    }
    buf_append_char(out, ']');
}

static bool reached(const struct propagation *p, const struct propagation_goal *goal,
                    uint64_t now_ms)
{
    size_t workers = roster_count(p->roster);
    return workers > 0 && trusted(p, goal, now_ms) && applied(p, goal) == workers;
}

static void write_state(const struct propagation *p, const struct propagation_goal *goal,
                        uint64_t now_ms, struct buf *out)
{
    bool complete = reached(p, goal, now_ms);
    buf_printf(out,
               "{\"revision\":%llu,\"workers\":%zu,\"applied\":%zu,\"complete\":%s,"
               "\"elapsed_ms\":%llu,\"lagging\":",
               (unsigned long long)goal->revision, roster_count(p->roster), applied(p, goal),
               complete ? "true" : "false", (unsigned long long)(now_ms - goal->started_ms));
    write_lagging(p, goal, out);
    buf_append_str(out, ",\"refused_everywhere_by\":");
    write_by(p, goal, complete, now_ms, out);
    buf_append_char(out, '}');
}

// Nobody to wait for: no worker is known, and none can be hidden from us.
static bool nobody(const struct propagation *p, const struct propagation_goal *goal,
                   uint64_t now_ms)
{
    return roster_count(p->roster) == 0 && trusted(p, goal, now_ms);
}

bool propagation_try(const struct propagation *p, const struct propagation_goal *goal,
                     uint64_t now_ms, struct buf *out)
{
    if (!reached(p, goal, now_ms) && !nobody(p, goal, now_ms))
        return false;
    write_state(p, goal, now_ms, out);
    return true;
}

void propagation_start(struct propagation *p, const struct propagation_goal *goal,
                       void (*on_done)(void *ctx, struct slice json), void *ctx)
{
    struct propagation_wait *w = xcalloc(1, sizeof(*w));
    *w = (struct propagation_wait){.next = p->waits, .goal = *goal, .on_done = on_done, .ctx = ctx};
    p->waits = w;
    p->waiting++;
}

static void finish(const struct propagation *p, struct propagation_wait *w, uint64_t now_ms)
{
    struct buf json = {.len = 0};
    write_state(p, &w->goal, now_ms, &json);
    w->on_done(w->ctx, buf_slice(&json));
    buf_fini(&json);
    free(w);
}

// Ends the waits that are over. on_done may start new waits: those go to the
// front of the list, behind our back, and are looked at next time.
static void review(struct propagation *p, bool all, uint64_t now_ms)
{
    struct propagation_wait *over = NULL;
    for (struct propagation_wait **at = &p->waits; *at != NULL;) {
        struct propagation_wait *w = *at;
        if (!all && now_ms < w->goal.deadline_ms && !reached(p, &w->goal, now_ms) &&
            !nobody(p, &w->goal, now_ms)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = over;
        over = w;
        p->waiting--;
    }
    while (over != NULL) {
        struct propagation_wait *w = over;
        over = w->next;
        finish(p, w, now_ms);
    }
}

void propagation_on_link(struct propagation *p, bool up, uint64_t now_ms)
{
    p->up = up;
    p->up_since_ms = now_ms;
    p->bell_epoch = 0;
    p->bell_revision = 0;
}

void propagation_on_bell(struct propagation *p, uint64_t epoch, uint64_t revision, uint64_t now_ms)
{
    if (epoch == p->bell_epoch && revision <= p->bell_revision)
        return;
    p->bell_epoch = epoch;
    p->bell_revision = revision;
    review(p, false, now_ms);
}

void propagation_on_roster(struct propagation *p, uint64_t now_ms)
{
    review(p, false, now_ms);
}

void propagation_on_tick(struct propagation *p, uint64_t now_ms)
{
    review(p, false, now_ms);
}

void propagation_end_all(struct propagation *p, uint64_t now_ms)
{
    review(p, true, now_ms);
}

bool propagation_hears(const struct propagation *p)
{
    return p->up;
}

size_t propagation_waiting(const struct propagation *p)
{
    return p->waiting;
}
