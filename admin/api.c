// SPDX-License-Identifier: Apache-2.0
// The way in: who is it, which route, may they, is the request well made. Only a
// request that passed all of this reaches a handler, deferred, so that handlers
// never meet the connection.
//
// The token is judged before the path: a stranger learns nothing about routes.
#include "admin/api.h"

#include <string.h>

#include "admin/api_routes.h"
#include "admin/response.h"
#include "common/base/clock.h"
#include "common/base/log.h"

static bool check_token(struct request *r, struct problem *problem)
{
    const struct token *who = NULL;
    struct slice header = call_header(r->call, SLICE_LIT("authorization"));
    switch (auth_check(r->api->auth, header, slice_of(r->address), clock_boot_ms(), &who)) {
    case AUTH_OK:
        memcpy(r->actor, who->name, sizeof(r->actor));
        r->role = who->role;
        return true;
    case AUTH_LIMITED:
        LOG_WARN("admin_token_limited", LOG_CSTR("address", r->address),
                 LOG_CSTR("request_id", r->id));
        problem_set(problem, PROBLEM_TOO_MANY_ATTEMPTS, "Too many wrong tokens from this address.");
        return false;
    case AUTH_WRONG:
        LOG_WARN("admin_token_wrong", LOG_CSTR("address", r->address),
                 LOG_CSTR("request_id", r->id));
        problem_set(problem, PROBLEM_UNAUTHENTICATED, "The admin token is not valid.");
        return false;
    case AUTH_MISSING:
        break;
    }
    problem_set(problem, PROBLEM_UNAUTHENTICATED, "Send Authorization: Bearer <admin token>.");
    return false;
}

static bool find_route(struct request *r, struct slice path, struct route_match *match,
                       struct buf *allow, struct problem *problem)
{
    struct slice method = call_method(r->call);
    switch (route_find(api_routes, api_route_count, method, path, match, allow)) {
    case ROUTE_FOUND:
        r->route = match->route;
        return true;
    case ROUTE_NO_METHOD:
        problem_set(problem, PROBLEM_METHOD_NOT_ALLOWED, "This path takes %s.", buf_cstr(allow));
        return false;
    case ROUTE_NO_PATH:
        break;
    }
    problem_set(problem, PROBLEM_NOT_FOUND, "No such path.");
    return false;
}

static bool check_role(const struct request *r, struct problem *problem)
{
    if (r->role == ROLE_EDITOR || !(r->route->flags & ROUTE_WRITE) || r->dry_run)
        return true;
    problem_set(problem, PROBLEM_INSUFFICIENT_ROLE, "This needs the role editor; %s is a viewer.",
                r->actor);
    return false;
}

static void keep_target(struct request *r, struct slice path)
{
    struct buf text = {.len = 0};
    struct slice query = call_query(r->call);
    size_t len;
    buf_append_slice(&text, path);
    if (query.ptr != NULL) {
        buf_append_char(&text, '?');
        buf_append_slice(&text, query);
    }
    buf_append_char(&text, '\0');
    r->target = buf_steal(&text, &len);
}

static bool admit(struct request *r, struct buf *allow, struct problem *problem)
{
    struct route_match match;
    struct slice path = call_path(r->call);
    if (!slice_starts_with(path, SLICE_LIT("/admin/v1/"))) {
        problem_set(problem, PROBLEM_NOT_FOUND, "The API is under /admin/v1.");
        return false;
    }
    path = slice_skip(path, strlen("/admin/v1"));
    if (!check_token(r, problem) || !find_route(r, path, &match, allow, problem))
        return false;
    bool query_good = request_take_query(r, problem);
    if (!check_role(r, problem)) // before what is wrong with the query
        return false;
    keep_target(r, path);
    return query_good && request_take_args(r, &match, problem) &&
           request_take_headers(r, problem) && request_take_body(r, problem);
}

void api_handle(void *ctx, struct call *c)
{
    struct problem problem = {.code = PROBLEM_NONE};
    struct buf allow = {.len = 0};
    struct request *r = request_create(ctx, c);
    if (!admit(r, &allow, &problem)) {
        response_send_problem(r, &problem, buf_slice(&allow));
    } else {
        request_defer(r);
        r->route->handle(r);
    }
    buf_fini(&allow);
}

void api_refuse(void *ctx, struct call *c, struct reply *reply)
{
    struct buf body = {.len = 0};
    struct problem problem = {.code = PROBLEM_NONE};
    struct slice *part = call_alloc(c, sizeof(*part));
    (void)ctx;
    problem_set(&problem, problem_of_status(reply->status), "The HTTP server refused the request.");
    problem_write(&body, &problem, call_request_id(c));
    char *bytes = call_alloc(c, body.len + 1);
    memcpy(bytes, body.ptr, body.len);
    *part = slice_make(bytes, body.len);
    reply_add_header(reply, SLICE_LIT("content-type"), SLICE_LIT("application/problem+json"));
    reply->parts = part;
    reply->part_count = 1;
    reply->length = body.len;
    buf_fini(&body);
    problem_fini(&problem);
}

void api_on_access(void *ctx, const struct server_access *access)
{
    struct api *api = ctx;
    size_t class = access->status >= 0 && access->status < 600 ? (size_t)access->status / 100 : 0;
    api->answers[class]++;
    LOG_AT(class == 5 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "admin_request",
           LOG_STR("method", access->method), LOG_STR("path", access->path),
           LOG_I64("status", access->status), LOG_U64("duration_us", access->duration_us),
           LOG_STR("request_id", access->request_id));
}
