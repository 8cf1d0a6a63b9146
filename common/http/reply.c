// SPDX-License-Identifier: Apache-2.0
// Sending an answer through libh2o without copying it.
//
// The headers go into one block of the request's pool; the parts are given to
// libh2o as they are and stay pinned until the request is disposed of. Length
// is always known, so nothing is ever chunked.
#include "common/http/reply.h"

#include <string.h>

#include "common/http/http_private.h"

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {201, "Created"},
                   {202, "Accepted"},
                   {204, "No Content"},
                   {304, "Not Modified"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {409, "Conflict"},
                   {412, "Precondition Failed"},
                   {413, "Content Too Large"},
                   {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {503, "Service Unavailable"}};
    for (size_t i = 0; i < CM_ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Other";
}

static bool has_length(int status)
{
    return status != 204 && status != 304;
}

bool reply_has_body(const struct call *c, int status)
{
    return !c->is_head && has_length(status);
}

static h2o_iovec_t iovec_of(struct slice s)
{
    return h2o_iovec_init(s.ptr, s.len);
}

// libh2o sends orig_name when there is one, which is the same; by it a constant's
// header is known from any other.
static h2o_header_t constant_header(const struct reply_constant *constant, struct slice value)
{
    return (h2o_header_t){.name = (h2o_iovec_t *)(uintptr_t)&constant->name,
                          .orig_name = constant->name.ptr,
                          .value = iovec_of(value)};
}

const struct reply_constant *reply_constant_of(const h2o_header_t *header)
{
    if (header->orig_name == NULL)
        return NULL;
    return CM_CONTAINER_OF((struct slice *)(void *)header->name, struct reply_constant, name);
}

static void put_headers(struct call *c, const struct reply *r)
{
    // Two names for one value, which is each answer's own.
    static const struct reply_constant ids[] = {REPLY_CONSTANT("x-request-id", ""),
                                                REPLY_CONSTANT("request-id", "")};
    size_t own = r->header_count, count = own + CM_ARRAY_LEN(ids);
    h2o_req_t *req = c->req;
    h2o_header_t *headers =
        h2o_mem_alloc_pool(&req->pool, count * sizeof(h2o_header_t) + own * sizeof(h2o_iovec_t));
    h2o_iovec_t *names = (h2o_iovec_t *)(void *)(headers + count);
    for (size_t i = 0; i < own; i++) {
        const struct reply_header *h = &r->headers[i];
        if (h->constant != NULL) {
            headers[i] = constant_header(h->constant, h->constant->value);
        } else {
            names[i] = iovec_of(h->name);
            headers[i] = (h2o_header_t){.name = &names[i], .value = iovec_of(h->value)};
        }
    }
    for (size_t i = 0; i < CM_ARRAY_LEN(ids); i++)
        headers[own + i] = constant_header(&ids[i], call_request_id(c));
    req->res.headers.entries = headers;
    req->res.headers.size = count;
    req->res.headers.capacity = count;
}

void reply_prepare(struct call *c, const struct reply *r)
{
    CM_ASSERT(!c->answered && r->status >= 200 && r->status <= 599);
    h2o_req_t *req = c->req;
    c->answered = true;
    c->due_ms = uv_now(c->conn->server->loop) + reap_answer_ms(c->conn->server, r->length);
    pressure_answer_began(c->conn);
    c->unpin = r->unpin;
    c->pin = r->pin;
    c->note = r->note;
    req->res.status = r->status;
    req->res.reason = reason_of(r->status);
    req->res.content_length = has_length(r->status) ? r->length : SIZE_MAX;
    if (r->close || c->conn->server->draining)
        req->http1_is_persistent = 0;
    put_headers(c, r);
}

void reply_add_header(struct reply *r, struct slice name, struct slice value)
{
    CM_ASSERT(r->header_count < REPLY_HEADERS_MAX);
    r->headers[r->header_count++] = (struct reply_header){NULL, name, value};
}

void reply_add_constant(struct reply *r, const struct reply_constant *header)
{
    CM_ASSERT(r->header_count < REPLY_HEADERS_MAX);
    r->headers[r->header_count++].constant = header;
}

void reply_send(struct call *c, const struct reply *r)
{
    static h2o_generator_t generator = {NULL, NULL};
    reply_prepare(c, r);
    h2o_start_response(c->req, &generator);
    // libh2o only reads the array, and copies it. A HEAD gets what it is given
    // here, so it must be given nothing.
    if (reply_has_body(c, r->status))
        h2o_send(c->req, (h2o_iovec_t *)(uintptr_t)r->parts, r->part_count, H2O_SEND_STATE_FINAL);
    else
        h2o_send(c->req, NULL, 0, H2O_SEND_STATE_FINAL);
}

void reply_send_copy(struct call *c, int status, struct slice content_type, struct slice body)
{
    struct slice copy = SLICE_NONE;
    if (body.len > 0) {
        char *bytes = call_alloc(c, body.len);
        memcpy(bytes, body.ptr, body.len);
        copy = slice_make(bytes, body.len);
    }
    struct reply r = {.status = status, .parts = &copy, .part_count = 1, .length = body.len};
    reply_add_header(&r, SLICE_LIT("content-type"), content_type);
    reply_send(c, &r);
}
