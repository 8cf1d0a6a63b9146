// SPDX-License-Identifier: Apache-2.0
// GET /audit: who changed what, newest first. The stream's ids are the revisions,
// so an entry's id is its revision. As with all that is read, the head comes first
// with each part: what a store that is not ours says of its past is not shown.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/paging.h"
#include "admin/reading.h"
#include "common/model/doc.h"

enum { CHUNK = 200 };

struct walk {
    struct paging paging;
    struct paging_list list;
    uint64_t from; // the next revision to look at
    size_t slot;
};

static void walk_fini(void *state)
{
    paging_list_fini(&((struct walk *)state)->list);
}

static bool fits(const struct query *q, const char *name, const json_t *entry)
{
    struct slice wanted = query_get(q, name);
    return wanted.ptr == NULL || slice_equal(doc_string(json_object_get(entry, name)), wanted);
}

static void collect(struct request *r, uint64_t revision, struct slice text)
{
    struct walk *walk = r->state;
    struct doc_error error;
    json_t *entry = doc_parse(text, &error);
    if (entry != NULL && fits(&r->query, "actor", entry) && fits(&r->query, "action", entry) &&
        fits(&r->query, "resource", entry)) {
        char id[24];
        snprintf(id, sizeof(id), "%llu", (unsigned long long)revision);
        struct buf *out = paging_add(&walk->list, slice_of(id));
        buf_printf(out, "{\"id\":\"%s\",", id);
        buf_append_slice(out, slice_skip(text, 1));
    }
    json_decref(entry);
}

// Newest first; a page before an id is read oldest first, away from it.
static void ask(struct reading *r)
{
    struct walk *walk = r->request->state;
    walk->slot = fetch_audit(r->fetch, walk->from, paging_is_backward(&walk->paging), CHUNK);
}

// False at the end of what there is.
static bool take_chunk(struct request *r, const struct fetch *f)
{
    struct walk *walk = r->state;
    size_t count = fetch_list_count(f, walk->slot);
    for (size_t i = 0; i < count && !paging_is_full(&walk->paging, &walk->list); i += 2) {
        uint64_t revision = 0;
        if (!slice_parse_u64(fetch_list_at(f, walk->slot, i), UINT64_MAX, &revision))
            return false; // no stream of ours
        collect(r, revision, fetch_list_at(f, walk->slot, i + 1));
        if (revision == 0 && !paging_is_backward(&walk->paging))
            return false;
        walk->from = paging_is_backward(&walk->paging) ? revision + 1 : revision - 1;
    }
    return count == 2 * CHUNK;
}

static enum reading_verdict answer(struct reading *r)
{
    struct walk *walk = r->request->state;
    bool more = take_chunk(r->request, r->fetch);
    if (more && !paging_is_full(&walk->paging, &walk->list))
        return READING_AGAIN;
    paging_write(&r->response.body, &walk->paging, &walk->list);
    return READING_DONE;
}

static bool take_cursor(struct walk *walk, struct problem *problem)
{
    bool backward = paging_is_backward(&walk->paging);
    struct slice cursor = backward ? walk->paging.before : walk->paging.after;
    uint64_t at = 0;
    walk->from = (UINT64_C(1) << 53);
    if (cursor.len == 0)
        return true;
    if (!slice_parse_u64(cursor, walk->from, &at)) {
        problem_set(problem, PROBLEM_INVALID_PARAMETER,
                    "after_id and before_id must be ids of entries");
        return false;
    }
    walk->from = backward ? at + 1 : at > 0 ? at - 1 : 0;
    return true;
}

void api_audit_list(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask, .answer = answer};
    struct walk *walk = request_state(r, sizeof(*walk), walk_fini);
    struct problem problem = {.code = PROBLEM_NONE};
    if (!paging_take(&walk->paging, &r->query, &problem) || !take_cursor(walk, &problem))
        response_send_problem(r, &problem, SLICE_NONE);
    else
        reading_start(r, &plan);
}
