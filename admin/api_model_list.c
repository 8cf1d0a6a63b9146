// SPDX-License-Identifier: Apache-2.0
// GET /models: the whole catalog is one hash in the store, so a page of it is a
// read of all, sorted here.
#include <stdlib.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/paging.h"
#include "admin/reading.h"
#include "admin/records.h"
#include "common/model/doc.h"
#include "common/model/model.h"

struct list_state {
    struct paging paging;
    struct paging_list list;
};

static void list_state_fini(void *state)
{
    paging_list_fini(&((struct list_state *)state)->list);
}

static bool passes(const struct query *q, const struct record *record)
{
    struct slice part = query_get(q, "q"), status = query_get(q, "status");
    struct slice owner = query_get(q, "owned_by");
    if (part.len == 0 && status.ptr == NULL && owner.ptr == NULL)
        return true;
    struct doc_error error;
    json_t *doc = doc_parse(record->text, &error);
    bool ok =
        (part.len == 0 || slice_contains_nocase(record->id, part) ||
         slice_contains_nocase(doc_string(json_object_get(doc, "display_name")), part)) &&
        (status.ptr == NULL || slice_equal(doc_string(json_object_get(doc, "status")), status)) &&
        (owner.ptr == NULL || slice_equal(doc_string(json_object_get(doc, "owned_by")), owner));
    json_decref(doc);
    return ok;
}

static void ask_models(struct reading *r)
{
    size_t slot = fetch_all_models(r->fetch);
    CM_ASSERT(slot == 0);
}

static enum reading_verdict answer_models(struct reading *r)
{
    struct list_state *s = r->request->state;
    size_t count;
    struct record *records = records_read(r->fetch, 0, &count);
    for (size_t i = 0; i < count && !paging_is_full(&s->paging, &s->list); i++) {
        const struct record *at = &records[paging_is_backward(&s->paging) ? count - 1 - i : i];
        if (s->paging.after.len > 0 && slice_compare(at->id, s->paging.after) <= 0)
            continue;
        if (paging_is_backward(&s->paging) && slice_compare(at->id, s->paging.before) >= 0)
            continue;
        if (passes(&r->request->query, at))
            model_write_admin(paging_add(&s->list, at->id), at->text);
    }
    free(records);
    paging_write(&r->response.body, &s->paging, &s->list);
    return READING_DONE;
}

void api_models_list(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask_models, .answer = answer_models};
    struct list_state *s = request_state(r, sizeof(*s), list_state_fini);
    struct problem problem = {.code = PROBLEM_NONE};
    int ignored;
    if (!paging_take(&s->paging, &r->query, &problem) ||
        !query_word(&r->query, "status", "active|disabled", &ignored, &problem))
        response_send_problem(r, &problem, SLICE_NONE);
    else
        reading_start(r, &plan);
}
