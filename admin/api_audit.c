// SPDX-License-Identifier: Apache-2.0
// GET /audit: who changed what, newest first. The stream's ids are the revisions,
// so an entry's id is its revision.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/paging.h"
#include "admin/response.h"
#include "common/model/doc.h"
#include "common/store/reply.h"

enum { CHUNK = 200 };

struct walk {
    struct paging paging;
    struct paging_list list;
    uint64_t from; // the next revision to look at
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

// "123-0" -> 123
static bool parse_stream_id(struct slice id, uint64_t *revision)
{
    struct slice rest = id;
    return slice_parse_u64(slice_take(&rest, '-'), UINT64_MAX, revision);
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

static void read_chunk(struct request *r);

static void finish(struct request *r)
{
    struct walk *walk = r->state;
    struct response out = {.status = 200};
    paging_write(&out.body, &walk->paging, &walk->list);
    response_send(r, &out);
}

static void on_chunk(void *ctx, const struct redisReply *reply)
{
    struct request *r = ctx;
    struct walk *walk = r->state;
    size_t count = reply == NULL ? 0 : reply_count(reply);
    if (reply == NULL || reply_is_error(reply)) {
        response_refuse(r, PROBLEM_STORE_UNAVAILABLE, "Redis does not answer.");
        return;
    }
    bool end = count < CHUNK;
    for (size_t i = 0; i < count && !paging_is_full(&walk->paging, &walk->list); i++) {
        const struct redisReply *item = reply_at(reply, i);
        const struct redisReply *fields = reply_count(item) == 2 ? reply_at(item, 1) : NULL;
        uint64_t revision = 0;
        if (fields == NULL || !parse_stream_id(reply_bytes(reply_at(item, 0)), &revision)) {
            end = true; // no stream of ours
            break;
        }
        if (reply_count(fields) >= 2)
            collect(r, revision, reply_bytes(reply_at(fields, 1)));
        end = end || (revision == 0 && !paging_is_backward(&walk->paging));
        walk->from = paging_is_backward(&walk->paging) ? revision + 1 : revision - 1;
    }
    if (end || paging_is_full(&walk->paging, &walk->list))
        finish(r);
    else
        read_chunk(r);
}

// Newest first; a page before an id is read oldest first, away from it.
static void read_chunk(struct request *r)
{
    struct walk *walk = r->state;
    char from[32], chunk[8];
    snprintf(from, sizeof(from), "%llu-0", (unsigned long long)walk->from);
    snprintf(chunk, sizeof(chunk), "%d", CHUNK);
    bool backward = paging_is_backward(&walk->paging);
    const struct slice argv[] = {backward ? SLICE_LIT("XRANGE") : SLICE_LIT("XREVRANGE"),
                                 slice_of(r->api->keyspace->audit),
                                 slice_of(from),
                                 backward ? SLICE_LIT("+") : SLICE_LIT("-"),
                                 SLICE_LIT("COUNT"),
                                 slice_of(chunk)};
    if (!redis_command(r->api->redis, CM_ARRAY_LEN(argv), argv, on_chunk, r))
        response_refuse(r, PROBLEM_STORE_UNAVAILABLE, "Redis is away.");
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
    struct walk *walk = request_state(r, sizeof(*walk), walk_fini);
    struct problem problem = {.code = PROBLEM_NONE};
    if (!paging_take(&walk->paging, &r->query, &problem) || !take_cursor(walk, &problem))
        response_send_problem(r, &problem, SLICE_NONE);
    else
        read_chunk(r);
}
