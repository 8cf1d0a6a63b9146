// SPDX-License-Identifier: Apache-2.0
// Taken in one go before the handler runs: afterwards nothing points into the
// connection any more, and a write that has begun ends whether or not the client
// is still there.
#include "admin/request.h"

#include <stdlib.h>
#include <string.h>

#include "admin/propagation.h"
#include "common/model/doc.h"
#include "common/model/etag.h"

struct request *request_create(struct api *api, struct call *c)
{
    struct request *r = xcalloc(1, sizeof(*r));
    struct slice id = call_request_id(c);
    char text[REQUEST_ADDRESS_MAX];
    struct slice address = call_peer(c, text, sizeof(text));
    r->api = api;
    r->call = c;
    if (id.len > CALL_REQUEST_ID_LEN)
        id.len = CALL_REQUEST_ID_LEN;
    memcpy(r->id, id.ptr, id.len);
    if (address.len >= REQUEST_ADDRESS_MAX)
        address.len = REQUEST_ADDRESS_MAX - 1;
    if (address.len > 0)
        memcpy(r->address, address.ptr, address.len);
    return r;
}

void request_destroy(struct request *r)
{
    if (r->state != NULL && r->state_fini != NULL)
        r->state_fini(r->state);
    free(r->state);
    if (r->deferred != NULL)
        deferred_release(r->deferred);
    for (size_t i = 0; i < ROUTE_ARGS_MAX; i++)
        free((char *)(uintptr_t)r->args[i].ptr);
    query_fini(&r->query);
    json_decref(r->body);
    free(r->target);
    free(r->if_match);
    free(r->if_none_match);
    free(r->idempotency_key);
    free(r);
}

void request_defer(struct request *r)
{
    r->deferred = call_defer(r->call);
    r->call = NULL;
}

void *request_state(struct request *r, size_t size, void (*fini)(void *state))
{
    CM_ASSERT(r->state == NULL);
    r->state = xcalloc(1, size);
    r->state_fini = fini;
    return r->state;
}

bool request_take_query(struct request *r, struct problem *problem)
{
    char known[256];
    bool write = (r->route->flags & ROUTE_WRITE) != 0;
    int len = snprintf(known, sizeof(known), "%s%s", r->route->parameters, write ? " dry_run" : "");
    CM_ASSERT(len > 0 || r->route->parameters[0] == '\0');
    CM_ASSERT((size_t)len < sizeof(known));
    return query_parse(&r->query, call_query(r->call), known, problem) &&
           query_bool(&r->query, "dry_run", &r->dry_run, problem);
}

static char *copy_header(const struct request *r, struct slice name)
{
    struct slice value = call_header(r->call, name);
    return value.ptr == NULL ? NULL : slice_dup(value);
}

// RFC 7240: what cannot be honoured is ignored; a longer wait is cut to ours.
static unsigned parse_prefer(struct slice value)
{
    while (value.len > 0) {
        struct slice preference = slice_take(&value, ',');
        struct slice number = slice_take(&preference, ';');
        struct slice name = slice_trim(slice_take(&number, '='));
        uint64_t seconds;
        number = slice_trim(number);
        if (number.len >= 2 && number.ptr[0] == '"' && number.ptr[number.len - 1] == '"')
            number = slice_make(number.ptr + 1, number.len - 2);
        if (slice_equal_nocase(name, SLICE_LIT("wait")) &&
            slice_parse_u64(number, UINT32_MAX, &seconds))
            return seconds < PROPAGATION_WAIT_MAX_S ? (unsigned)seconds : PROPAGATION_WAIT_MAX_S;
    }
    return 0;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

bool request_take_headers(struct request *r, struct problem *problem)
{
    r->if_match = copy_header(r, SLICE_LIT("if-match"));
    r->if_none_match = copy_header(r, SLICE_LIT("if-none-match"));
    if (r->route->flags & ROUTE_WRITE)
        r->wait_s = parse_prefer(call_header(r->call, SLICE_LIT("prefer")));
    if (strcmp(r->route->method, "POST") != 0)
        return true;
    r->idempotency_key = copy_header(r, SLICE_LIT("idempotency-key"));
    size_t len = r->idempotency_key == NULL ? 1 : strlen(r->idempotency_key);
    if (len == 0 || len > REQUEST_IDEMPOTENCY_MAX ||
        (r->idempotency_key != NULL && !is_printable(r->idempotency_key))) {
        problem_set(problem, PROBLEM_INVALID_PARAMETER,
                    "Idempotency-Key: must be 1 to %d printable characters",
                    REQUEST_IDEMPOTENCY_MAX);
        return false;
    }
    return true;
}

bool request_take_args(struct request *r, const struct route_match *match, struct problem *problem)
{
    for (size_t i = 0; i < match->arg_count; i++) {
        char *text = xmalloc(match->args[i].len + 1);
        size_t len = 0;
        bool ok = route_decode(match->args[i], false, text, &len);
        r->args[i] = slice_make(text, ok ? len : 0);
        if (!ok) {
            problem_set(problem, PROBLEM_NOT_FOUND, "The path names nothing.");
            return false;
        }
    }
    return true;
}

static bool content_type_fits(const struct request *r)
{
    struct slice value = call_header(r->call, SLICE_LIT("content-type"));
    struct slice type = slice_trim(slice_take(&value, ';'));
    if (type.ptr == NULL) // absent: there is only one thing that it can be
        return true;
    return slice_equal_nocase(type, SLICE_LIT("application/json")) ||
           ((r->route->flags & ROUTE_MERGE_PATCH) != 0 &&
            slice_equal_nocase(type, SLICE_LIT("application/merge-patch+json")));
}

// What an answer to a write says beside the object itself; an answer that is
// edited and sent back may still have it.
static void drop_answer_members(json_t *body)
{
    json_object_del(body, "durable");
    json_object_del(body, "propagation");
}

bool request_take_body(struct request *r, struct problem *problem)
{
    struct slice text = call_body(r->call);
    struct doc_error error;
    secret_hash(text, &r->body_digest);
    if (!(r->route->flags & (ROUTE_BODY | ROUTE_BODY_OPTIONAL)))
        return true;
    if (text.len == 0 && (r->route->flags & ROUTE_BODY_OPTIONAL))
        return true;
    if (!content_type_fits(r)) {
        problem_set(problem, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "The body must be application/json%s.",
                    r->route->flags & ROUTE_MERGE_PATCH ? " or application/merge-patch+json" : "");
        return false;
    }
    r->body = doc_parse(text, &error);
    if (r->body != NULL) {
        drop_answer_members(r->body);
        return true;
    }
    problem_set(problem, PROBLEM_MALFORMED_JSON, "Line %d, column %d: %s", error.line, error.column,
                error.text);
    buf_printf(&problem->members, ",\"line\":%d,\"column\":%d", error.line, error.column);
    return false;
}

// If-Match compares strongly: a weak tag in the list matches nothing.
static bool matches_strongly(struct slice list, struct slice etag)
{
    if (slice_equal(slice_trim(list), SLICE_LIT("*")))
        return true;
    while (list.len > 0)
        if (slice_equal(slice_trim(slice_take(&list, ',')), etag))
            return true;
    return false;
}

bool request_precondition(const struct request *r, const char *etag, bool exists,
                          struct problem *problem)
{
    struct slice tag = slice_of(etag);
    if (r->if_match != NULL && (tag.len == 0 || !matches_strongly(slice_of(r->if_match), tag))) {
        problem_set(problem, PROBLEM_PRECONDITION_FAILED, "If-Match: it %s%s.",
                    tag.len > 0 ? "is now at " : "does not exist", etag);
        return false;
    }
    if (r->if_none_match != NULL && exists && etag_matches(slice_of(r->if_none_match), tag)) {
        problem_set(problem, PROBLEM_PRECONDITION_FAILED, "If-None-Match: it exists, at %s.", etag);
        return false;
    }
    return true;
}
