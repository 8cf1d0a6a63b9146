// SPDX-License-Identifier: Apache-2.0
// A store that has lost or changed its history looks like any other store to a
// compare-and-set. Writing there would make the loss final, so the first history
// that this process meets is the one that it writes to.
#include "admin/guard.h"

static bool judge_status(const struct guard *g, bool ok, enum head_status status,
                         struct problem *problem)
{
    if (!ok) {
        problem_set(problem, PROBLEM_STORE_UNAVAILABLE, "Redis does not answer.");
        return false;
    }
    switch (status) {
    case HEAD_OK:
        return true;
    case HEAD_ABSENT:
        if (g->epoch != 0 || roster_knows_history(g->roster, 0))
            problem_set(problem, PROBLEM_STORE_SUSPECT,
                        "Redis is empty, but there was a history before.");
        else
            problem_set(problem, PROBLEM_STORE_UNAVAILABLE, "There is no history yet.");
        return false;
    case HEAD_NEWER:
        problem_set(problem, PROBLEM_STORE_SUSPECT, "Redis was written by a newer program.");
        return false;
    case HEAD_GARBLED:
        problem_set(problem, PROBLEM_STORE_SUSPECT, "Redis holds something else under our prefix.");
        return false;
    }
    return false;
}

bool guard_read(struct guard *g, bool ok, enum head_status status, const struct head *head,
                struct problem *problem)
{
    if (!judge_status(g, ok, status, problem))
        return false;
    if (g->epoch == 0)
        g->epoch = head->epoch;
    return true;
}

bool guard_write(struct guard *g, bool ok, enum head_status status, const struct head *head,
                 struct problem *problem)
{
    if (!guard_read(g, ok, status, head, problem))
        return false;
    if (head->epoch != g->epoch && !head_descends_from(head, g->epoch)) {
        problem_set(problem, PROBLEM_STORE_SUSPECT,
                    "Redis holds another history than the one written so far.");
        return false;
    }
    g->epoch = head->epoch;
    if (!g->policy_good) {
        problem_set(problem, PROBLEM_STORE_UNAVAILABLE,
                    "Redis may evict records: its maxmemory-policy must be noeviction.");
        return false;
    }
    return true;
}
