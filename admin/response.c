// SPDX-License-Identifier: Apache-2.0
// The one way out. Nothing that the admin says may be cached by anybody.
#include "admin/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/reply.h"

void response_fini(struct response *out)
{
    buf_fini(&out->body);
    buf_fini(&out->location);
    *out = (struct response){.status = 0};
}

void response_clear(struct response *out)
{
    buf_clear(&out->body);
    buf_clear(&out->location);
    out->status = 0;
    out->etag[0] = '\0';
    out->replayed = false;
}

void response_set_etag(struct response *out, uint64_t revision)
{
    snprintf(out->etag, sizeof(out->etag), "\"%llu\"", (unsigned long long)revision);
}

void response_add_member(struct response *out, const char *name, struct slice json)
{
    CM_ASSERT(out->body.len > 0 && out->body.ptr[out->body.len - 1] == '}');
    out->body.len--;
    buf_append_char(&out->body, ',');
    buf_printf(&out->body, "\"%s\":", name);
    buf_append_slice(&out->body, json);
    buf_append_char(&out->body, '}');
}

static struct slice keep(struct call *c, struct slice text)
{
    char *copy = call_alloc(c, text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return slice_make(copy, text.len);
}

static struct call *call_of(const struct request *r)
{
    return r->deferred != NULL ? deferred_call(r->deferred) : r->call;
}

// Hands the body's memory to the reply.
static void attach_body(struct call *c, struct reply *reply, struct buf *body)
{
    struct slice *part = call_alloc(c, sizeof(*part));
    size_t len;
    char *bytes = buf_steal(body, &len);
    *part = slice_make(bytes, len);
    reply->parts = part;
    reply->part_count = 1;
    reply->length = len;
    reply->unpin = free;
    reply->pin = bytes;
}

static void add_location(struct call *c, struct reply *reply, struct buf *location)
{
    struct buf text = {.len = 0};
    buf_append_str(&text, "/admin/v1");
    buf_append_slice(&text, buf_slice(location));
    reply_add_header(reply, SLICE_LIT("location"), keep(c, buf_slice(&text)));
    buf_fini(&text);
}

static void add_wait(struct call *c, struct reply *reply, unsigned wait_s)
{
    char text[16];
    snprintf(text, sizeof(text), "wait=%u", wait_s);
    reply_add_header(reply, SLICE_LIT("preference-applied"), keep(c, slice_of(text)));
}

static void send_reply(struct request *r, struct call *c, struct response *out)
{
    struct reply reply = {.status = out->status};
    reply_add_header(&reply, SLICE_LIT("cache-control"), SLICE_LIT("no-store"));
    if (out->etag[0] != '\0')
        reply_add_header(&reply, SLICE_LIT("etag"), keep(c, slice_of(out->etag)));
    if (out->location.len > 0)
        add_location(c, &reply, &out->location);
    if (out->replayed)
        reply_add_header(&reply, SLICE_LIT("idempotency-replayed"), SLICE_LIT("true"));
    if (r->wait_s > 0 && !r->dry_run)
        add_wait(c, &reply, r->wait_s);
    if (out->status != 204 && out->status != 304) {
        reply_add_header(&reply, SLICE_LIT("content-type"), SLICE_LIT("application/json"));
        attach_body(c, &reply, &out->body);
    }
    reply_send(c, &reply);
}

void response_send(struct request *r, struct response *out)
{
    struct call *c = call_of(r);
    if (c != NULL)
        send_reply(r, c, out);
    response_fini(out);
    request_destroy(r);
}

void response_cut(struct request *r)
{
    CM_ASSERT(r->deferred != NULL);
    deferred_cut(r->deferred);
    request_destroy(r);
}

static void add_problem_headers(struct call *c, struct reply *reply, enum problem_code code,
                                struct slice allow)
{
    unsigned retry_after = problem_retry_after(code);
    reply_add_header(reply, SLICE_LIT("content-type"), SLICE_LIT("application/problem+json"));
    reply_add_header(reply, SLICE_LIT("cache-control"), SLICE_LIT("no-store"));
    if (code == PROBLEM_UNAUTHENTICATED)
        reply_add_header(reply, SLICE_LIT("www-authenticate"), SLICE_LIT("Bearer"));
    if (allow.len > 0)
        reply_add_header(reply, SLICE_LIT("allow"), keep(c, allow));
    if (retry_after > 0) {
        char text[16];
        snprintf(text, sizeof(text), "%u", retry_after);
        reply_add_header(reply, SLICE_LIT("retry-after"), keep(c, slice_of(text)));
    }
}

void response_send_problem(struct request *r, struct problem *p, struct slice allow)
{
    struct call *c = call_of(r);
    if (c != NULL) {
        struct buf body = {.len = 0};
        struct reply reply = {.status = problem_status(p->code)};
        problem_write(&body, p, slice_of(r->id));
        add_problem_headers(c, &reply, p->code, allow);
        attach_body(c, &reply, &body);
        reply_send(c, &reply);
    }
    problem_fini(p);
    request_destroy(r);
}

void response_refuse(struct request *r, enum problem_code code, const char *format, ...)
{
    struct problem problem = {.code = PROBLEM_NONE};
    struct buf detail = {.len = 0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&detail, format, args);
    va_end(args);
    problem_set(&problem, code, "%s", buf_cstr(&detail));
    buf_fini(&detail);
    response_send_problem(r, &problem, SLICE_NONE);
}

void response_refuse_mistakes(struct request *r, const struct mistakes *mistakes)
{
    struct problem problem = {.code = PROBLEM_NONE};
    problem_set_mistakes(&problem, mistakes);
    response_send_problem(r, &problem, SLICE_NONE);
}
