// SPDX-License-Identifier: Apache-2.0
// The head is read first in every fetch, so what is answered is at least as new
// as any change that was answered before.
#include "admin/reading.h"

#include <stdlib.h>

#include "admin/api.h"
#include "common/model/etag.h"

struct work {
    struct reading reading;
    const struct reading_plan *plan;
};

bool reading_is_unchanged(const struct reading *r)
{
    const char *known = r->request->if_none_match, *etag = r->response.etag;
    return known != NULL && etag[0] != '\0' && etag_matches(slice_of(known), slice_of(etag));
}

static void end(struct work *work)
{
    struct reading *r = &work->reading;
    if (r->problem.code != PROBLEM_NONE) {
        response_send_problem(r->request, &r->problem, SLICE_NONE);
    } else {
        if (r->response.status == 0)
            r->response.status = 200;
        if (reading_is_unchanged(r))
            r->response.status = 304;
        response_send(r->request, &r->response);
    }
    response_fini(&r->response);
    problem_fini(&r->problem);
    fetch_destroy(r->fetch);
    free(work);
}

static void ask(struct work *work);

static void on_read(void *ctx, bool ok)
{
    struct work *work = ctx;
    struct reading *r = &work->reading;
    struct api *api = r->request->api;
    enum head_status status = ok ? fetch_head(r->fetch, &r->head) : HEAD_ABSENT;
    r->away = guard_is_away(api->guard, ok);
    bool answers = work->plan->unguarded || (r->away && work->plan->mirrored);
    if (!answers && !guard_read(api->guard, ok, status, &r->head, &r->problem)) {
        end(work);
        return;
    }
    switch (work->plan->answer(r)) {
    case READING_DONE:
        end(work);
        return;
    case READING_REFUSED:
        CM_ASSERT(r->problem.code != PROBLEM_NONE);
        end(work);
        return;
    case READING_MORE:
        fetch_send(r->fetch, on_read, work);
        return;
    case READING_AGAIN:
        fetch_destroy(r->fetch);
        ask(work);
        return;
    }
}

static void ask(struct work *work)
{
    struct reading *r = &work->reading;
    r->fetch = fetch_create(r->request->api->redis, r->request->api->keyspace);
    work->plan->ask(r);
    fetch_send(r->fetch, on_read, work);
}

void reading_start(struct request *r, const struct reading_plan *plan)
{
    struct work *work = xcalloc(1, sizeof(*work));
    work->reading.request = r;
    work->plan = plan;
    ask(work);
}
