// SPDX-License-Identifier: Apache-2.0
// GET /keys. Revoked keys are listed only when they are asked for.
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/key_view.h"
#include "admin/key_walk.h"
#include "admin/paging.h"
#include "common/base/clock.h"
#include "common/model/doc.h"
#include "common/model/names.h"

struct list_state {
    struct paging paging;
    struct paging_list list;
    struct key_walk walk;
    int64_t now_s;
};

static void list_state_fini(void *state)
{
    paging_list_fini(&((struct list_state *)state)->list);
}

static bool has_tag(const struct key_doc *k, struct slice tag)
{
    for (size_t i = 0; i < json_array_size(k->tags); i++)
        if (slice_equal(doc_string(json_array_get(k->tags, i)), tag))
            return true;
    return false;
}

static bool passes(const struct list_state *s, const struct query *q, const struct key_doc *k)
{
    struct slice part = query_get(q, "q"), status = query_get(q, "status");
    struct slice tag = query_get(q, "tag");
    return (part.len == 0 || slice_contains_nocase(slice_of(k->name), part) ||
            slice_contains_nocase(slice_of(k->id), part)) &&
           (status.ptr == NULL || slice_equal(slice_of(key_doc_status(k, s->now_s)), status)) &&
           (tag.ptr == NULL || has_tag(k, tag));
}

static void ask_list(struct reading *r)
{
    struct list_state *s = r->request->state;
    key_walk_ask(&s->walk, r->fetch, s->now_s);
}

static enum reading_verdict answer_list(struct reading *r)
{
    struct list_state *s = r->request->state;
    if (key_walk_step(&s->walk, r->fetch) == READING_MORE)
        return READING_MORE;
    for (size_t i = 0; i < s->walk.count && !paging_is_full(&s->paging, &s->list); i++) {
        struct key_doc *k = key_walk_document(&s->walk, r->fetch, i);
        if (k != NULL && passes(s, &r->request->query, k))
            key_view_write(paging_add(&s->list, slice_of(k->id)), k, s->now_s, KEY_VIEW_PLAIN,
                           NULL);
        key_doc_destroy(k);
    }
    if (s->walk.count > 0 && !paging_is_full(&s->paging, &s->list))
        return READING_AGAIN;
    paging_write(&r->response.body, &s->paging, &s->list);
    return READING_DONE;
}

static bool take_parameters(struct request *r, struct list_state *s, struct problem *problem)
{
    int ignored;
    struct slice status = query_get(&r->query, "status");
    if (!paging_take(&s->paging, &r->query, problem) ||
        !query_word(&r->query, "status", "active|disabled|expired|revoked", &ignored, problem))
        return false;
    struct slice cursor = paging_is_backward(&s->paging) ? s->paging.before : s->paging.after;
    if (cursor.len > 0 && !names_is_key_id(cursor)) {
        problem_set(problem, PROBLEM_INVALID_PARAMETER,
                    "after_id and before_id must be ids of keys");
        return false;
    }
    s->walk.source = slice_equal(status, SLICE_LIT("revoked")) ? KEY_WALK_REVOKED : KEY_WALK_LIVE;
    s->walk.backward = paging_is_backward(&s->paging);
    if (cursor.len > 0)
        memcpy(s->walk.cursor, cursor.ptr, cursor.len);
    return true;
}

void api_keys_list(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask_list, .answer = answer_list};
    struct list_state *s = request_state(r, sizeof(*s), list_state_fini);
    struct problem problem = {.code = PROBLEM_NONE};
    s->now_s = clock_wall_s();
    if (take_parameters(r, s, &problem))
        reading_start(r, &plan);
    else
        response_send_problem(r, &problem, SLICE_NONE);
}
