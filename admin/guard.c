// SPDX-License-Identifier: Apache-2.0
// A store that has lost or changed its history looks like any other store to a
// compare-and-set. Writing there would make the loss final, and reading there
// would show it as if it were the truth. So the history that this process knows
// (from its journal, or the first that it meets) is the one that it works with.
#include "admin/guard.h"

#include "common/base/clock.h"

static const struct {
    const char *name, *text;
} reasons[] = {
    [GUARD_FINE] = {"", ""},
    [GUARD_EMPTY] = {"empty", "Redis holds no history, but there was one before."},
    [GUARD_FOREIGN] = {"foreign", "Redis holds another history than the one written so far."},
    [GUARD_WENT_BACK] = {"went_back", "Redis lost its latest writes; they are being brought back."},
    [GUARD_DIVERGED] = {"diverged",
                        "Redis holds other changes than the ones written; that is being repaired."},
    [GUARD_NEWER_FORMAT] = {"newer_format", "Redis was written by a newer program."},
};

const char *guard_reason_name(enum guard_reason reason)
{
    return reasons[reason].name;
}

bool guard_knows_history(const struct guard *g)
{
    return g->known.epoch != 0 || roster_knows_history(g->roster, 0);
}

static enum guard_reason judge_head(const struct head *known, const struct head *head)
{
    if (known->epoch == 0)
        return GUARD_FINE;
    if (head->epoch == known->epoch) {
        if (head->revision < known->revision)
            return GUARD_WENT_BACK;
        bool other = head->revision == known->revision && head->change != known->change;
        return other ? GUARD_DIVERGED : GUARD_FINE;
    }
    if (head_descends_from(head, known->epoch))
        return GUARD_FINE;
    // An epoch that ours continued: it has lost even that.
    return head_descends_from(known, head->epoch) ? GUARD_WENT_BACK : GUARD_FOREIGN;
}

enum guard_reason guard_judge(const struct guard *g, enum head_status status,
                              const struct head *head)
{
    switch (status) {
    case HEAD_OK:
        return judge_head(&g->known, head);
    case HEAD_ABSENT:
        return GUARD_EMPTY;
    case HEAD_NEWER:
        return GUARD_NEWER_FORMAT;
    case HEAD_GARBLED:
        break;
    }
    return GUARD_FOREIGN;
}

void guard_look(struct guard *g, enum guard_reason reason, enum head_status status,
                const struct head *head)
{
    g->looked = true;
    g->reason = reason;
    g->found_status = status;
    g->found = *head;
}

void guard_adopt(struct guard *g, const struct head *head)
{
    g->known = *head;
    guard_look(g, GUARD_FINE, HEAD_OK, head);
}

static void add_place(struct buf *out, const char *name, const struct head *h)
{
    char epoch[HEAD_ID_HEX_LEN + 1];
    buf_printf(out, ",\"%s\":", name);
    if (h == NULL || h->epoch == 0) {
        buf_append_str(out, "null");
        return;
    }
    head_id_hex(h->epoch, epoch);
    buf_printf(out, "{\"epoch\":\"%s\",\"revision\":%llu}", epoch, (unsigned long long)h->revision);
}

static void add_places(const struct guard *g, struct buf *out)
{
    add_place(out, "known", &g->known);
    add_place(out, "found", g->found_status == HEAD_OK ? &g->found : NULL);
}

static void add_time(struct buf *out, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(ms / 1000, "Z", text);
    if (ms == 0)
        buf_printf(out, ",\"%s\":null", name);
    else
        buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

void guard_write_state(const struct guard *g, bool away, const struct record_counts *records,
                       struct buf *out)
{
    bool fine = g->reason == GUARD_FINE;
    buf_printf(out, "{\"state\":\"%s\",\"reason\":", away ? "away" : fine ? "good" : "suspect");
    if (fine)
        buf_append_str(out, "null");
    else
        buf_printf(out, "\"%s\"", reasons[g->reason].name);
    add_places(g, out);
    add_time(out, "last_seen_at", g->answered_ms);
    if (records != NULL) {
        buf_append_str(out, ",\"records\":");
        record_counts_write(records, out);
    }
    buf_append_char(out, '}');
}

static void refuse(const struct guard *g, enum guard_reason reason, struct problem *problem)
{
    problem_set(problem, PROBLEM_STORE_SUSPECT, "%s", reasons[reason].text);
    buf_clear(&problem->members);
    buf_printf(&problem->members, ",\"reason\":\"%s\"", reasons[reason].name);
    add_places(g, &problem->members);
}

bool guard_is_away(const struct guard *g, bool ok)
{
    return !ok && !(g->looked && g->reason != GUARD_FINE);
}

bool guard_read(const struct guard *g, bool ok, enum head_status status, const struct head *head,
                struct problem *problem)
{
    if (guard_is_away(g, ok)) {
        problem_set(problem, PROBLEM_STORE_UNAVAILABLE, "Redis does not answer.");
        return false;
    }
    if (!ok) { // it answers, but not what we ask for
        refuse(g, g->reason, problem);
        return false;
    }
    if (status == HEAD_ABSENT && !guard_knows_history(g)) {
        problem_set(problem, PROBLEM_STORE_UNAVAILABLE, "There is no history yet.");
        return false;
    }
    enum guard_reason reason = guard_judge(g, status, head);
    if (reason == GUARD_FINE && g->looked)
        reason = g->reason; // seen by a closer look than this one
    if (reason == GUARD_FINE)
        return true;
    refuse(g, reason, problem);
    return false;
}

bool guard_write(const struct guard *g, bool ok, enum head_status status, const struct head *head,
                 struct problem *problem)
{
    if (!guard_read(g, ok, status, head, problem))
        return false;
    if (!g->looked) {
        problem_set(problem, PROBLEM_STORE_UNAVAILABLE, "Redis was not looked at yet.");
        return false;
    }
    if (!g->policy_good) {
        problem_set(problem, PROBLEM_STORE_UNAVAILABLE,
                    "Redis may evict records: its maxmemory-policy must be noeviction.");
        return false;
    }
    return true;
}
