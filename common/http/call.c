// SPDX-License-Identifier: Apache-2.0
// A request from the moment that a handler may see it until libh2o disposes of it.
//
// Exactly one call_end follows each call_begin: libh2o runs its access loggers
// when it disposes of a request, whatever became of it, before it frees the
// request's pool; that hook costs no allocation, unlike a shared pool entry.
// There the reply's pin is dropped (the bytes have left, or never will) and a
// deferred call learns that its client has gone: from then on it is only an
// empty guard that its owner releases.
#include "common/http/call.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/http/http_private.h"

// Spreads a counter over 64 bits, one to one (the finalizer of SplitMix64): ids
// look random, cost no system call, and never repeat within a process; the
// random prefix keeps processes apart.
static uint64_t mix(uint64_t n)
{
    n = (n ^ (n >> 30)) * 0xBF58476D1CE4E5B9U;
    n = (n ^ (n >> 27)) * 0x94D049BB133111EBU;
    return n ^ (n >> 31);
}

static void make_id(struct server *s, char out[CALL_REQUEST_ID_LEN])
{
    uint64_t n = mix(s->id_next++);
    memcpy(out, "req_cm_", 7);
    memcpy(out + 7, s->id_prefix, sizeof(s->id_prefix));
    util_hex_encode((const unsigned char *)&n, sizeof(n), out + 7 + sizeof(s->id_prefix));
}

// Our own replies need none of libh2o's filters, so the chain ends here.
static void on_setup_ostream(h2o_req_prefilter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    (void)self;
    (void)req;
    (void)slot;
}

struct call *call_begin(h2o_req_t *req)
{
    struct call *c = (struct call *)(void *)h2o_add_prefilter(req, sizeof(*c));
    c->prefilter.on_setup_ostream = on_setup_ostream;
    c->req = req;
    c->conn = conn_of_request(req);
    c->deferred = NULL;
    c->unpin = NULL;
    c->pin = NULL;
    c->is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    c->answered = false;
    c->refused = false;
    c->early = c->conn->refuse.status != 0 && c->conn->refuse.early;
    c->conn->refuse = (struct refusal){0};
    c->link = (h2o_linklist_t){NULL, NULL};
    c->abandoned = false;
    c->began_us = c->conn->server->options.time_calls ? clock_boot_us() : 0;
    make_id(c->conn->server, c->id);
    conn_call_began(c->conn, c);
    return c;
}

struct call *call_find(const h2o_req_t *req)
{
    h2o_req_prefilter_t *p = req->prefilters;
    while (p != NULL && p->on_setup_ostream != on_setup_ostream)
        p = p->next;
    return (struct call *)(void *)p;
}

void call_end(struct call *c)
{
    if (c->deferred != NULL) {
        h2o_linklist_unlink(&c->deferred->link);
        c->deferred->call = NULL;
    }
    if (c->unpin != NULL)
        c->unpin(c->pin);
    conn_call_ended(c->conn, c);
}

struct slice call_method(const struct call *c)
{
    return slice_make(c->req->method.base, c->req->method.len);
}

struct slice call_path(const struct call *c)
{
    size_t len = c->req->query_at < c->req->path.len ? c->req->query_at : c->req->path.len;
    return slice_make(c->req->path.base, len);
}

struct slice call_query(const struct call *c)
{
    if (c->req->query_at >= c->req->path.len)
        return SLICE_NONE;
    return slice_skip(slice_make(c->req->path.base, c->req->path.len), c->req->query_at + 1);
}

struct slice call_header(const struct call *c, struct slice name)
{
    const h2o_headers_t *headers = &c->req->headers;
    for (size_t i = 0; i < headers->size; i++) {
        const h2o_header_t *h = &headers->entries[i];
        // A folded line has a name without bytes.
        if (h->name->len == name.len && h->name->base != NULL &&
            memcmp(h->name->base, name.ptr, name.len) == 0)
            return slice_trim(slice_make(h->value.base, h->value.len));
    }
    return SLICE_NONE;
}

struct slice call_body(const struct call *c)
{
    return slice_make(c->req->entity.base, c->req->entity.len);
}

struct slice call_request_id(const struct call *c)
{
    return slice_make(c->id, sizeof(c->id));
}

bool call_is_head(const struct call *c)
{
    return c->is_head;
}

bool call_is_alone(const struct call *c)
{
    return c->conn->call_count == 1;
}

struct slice call_peer(const struct call *c, char *out, size_t size)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } peer;
    h2o_conn_t *conn = c->req->conn;
    if (conn->callbacks->get_peername(conn, &peer.any) == 0)
        return SLICE_NONE;
    const void *address = peer.any.sa_family == AF_INET6 ? (const void *)&peer.v6.sin6_addr
                                                         : (const void *)&peer.v4.sin_addr;
    if (inet_ntop(peer.any.sa_family, address, out, (socklen_t)size) == NULL)
        return SLICE_NONE;
    return slice_of(out);
}

void *call_connection_memory(const struct call *c)
{
    return c->conn->server->options.connection_memory > 0 ? c->conn->memory : NULL;
}

void *call_alloc(struct call *c, size_t size)
{
    return h2o_mem_alloc_pool(&c->req->pool, size);
}

struct deferred *call_defer(struct call *c)
{
    CM_ASSERT(c->deferred == NULL && !c->answered);
    struct deferred *d = xcalloc(1, sizeof(*d));
    d->call = c;
    d->conn = c->conn;
    conn_hold(d->conn);
    c->deferred = d;
    h2o_linklist_insert(&c->conn->server->deferreds, &d->link);
    return d;
}

struct call *deferred_call(const struct deferred *d)
{
    return d->call;
}

void deferred_release(struct deferred *d)
{
    if (d->call != NULL) {
        CM_ASSERT(d->call->answered);
        d->call->deferred = NULL;
        h2o_linklist_unlink(&d->link);
    }
    conn_release(d->conn);
    free(d);
}
