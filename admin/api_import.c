// SPDX-License-Identifier: Apache-2.0
// POST /catalog/import: a whole catalog at once.
#include "admin/api_routes.h"
#include "admin/catalog_plan.h"
#include "admin/write.h"

static void plan_fini(void *state)
{
    catalog_plan_fini(state);
}

static void ask(struct request *r, struct fetch *f)
{
    catalog_plan_ask(r->state, f);
}

static enum write_verdict plan(struct write *w)
{
    return catalog_plan_make(w->request->state, w);
}

static void committed(struct request *r)
{
    catalog_plan_committed(r->state);
}

static bool take(struct request *r, struct catalog_plan *p, struct problem *problem)
{
    int format = 0, mode = 0;
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    if (!query_word(&r->query, "format", IMPORT_FORMATS, &format, problem) ||
        !query_word(&r->query, "mode", "merge|replace", &mode, problem) ||
        !query_uint(&r->query, "max_deletes", 0, UINT32_MAX, &p->max_deletes, problem))
        return false;
    p->replace = mode == 1;
    p->limited = query_get(&r->query, "max_deletes").ptr != NULL;
    if (import_read(format, r->body, &p->import, &mistakes))
        return true;
    problem_set_mistakes(problem, &mistakes);
    return false;
}

void api_import(struct request *r)
{
    static const struct write_plan import_plan = {
        .action = "catalog.import", .ask = ask, .plan = plan, .committed = committed};
    struct problem problem = {.code = PROBLEM_NONE};
    struct catalog_plan *p = request_state(r, sizeof(*p), plan_fini);
    if (take(r, p, &problem))
        write_start(r, &import_plan, SLICE_LIT("/catalog"));
    else
        response_send_problem(r, &problem, SLICE_NONE);
}
