// SPDX-License-Identifier: Apache-2.0
// A request goes: route (404, 405, preflight: no key needed), credential (401),
// gate (401, 500, or later), then the answer, from the catalog as it is now.
//
// A request whose key is in memory is answered in the same turn; nothing is
// allocated but in the request's pool. One that has to wait becomes a `pending`,
// which survives its client. What the gate says later is answered from the
// request as it was sent, read a second time: cheaper than keeping what was read.
//
// If-None-Match is looked at last, so that a revoked key gets its 401 and not a
// 304.
#include "services/models_api.h"

#include <stdlib.h>

#include "common/model/answer.h"
#include "services/credential.h"
#include "services/last_secret.h"
#include "services/public_path.h"

// -- headers ----------------------------------------------------------------

#define METHODS SLICE_LIT("GET, HEAD, OPTIONS")

static const struct reply_constant allow_all = REPLY_CONSTANT("access-control-allow-origin", "*");
static const struct reply_constant expose =
    REPLY_CONSTANT("access-control-expose-headers", "x-request-id, request-id, ETag");
static const struct reply_constant json = REPLY_CONSTANT("content-type", "application/json");
static const struct reply_constant packed = REPLY_CONSTANT("content-encoding", "gzip");
static const struct reply_constant revalidate =
    REPLY_CONSTANT("cache-control", "private, no-cache");
static const struct reply_constant no_store = REPLY_CONSTANT("cache-control", "no-store");
static const struct reply_constant vary =
    REPLY_CONSTANT("vary", "Authorization, X-Api-Key, Accept-Encoding");
static const struct reply_constant vary_origin =
    REPLY_CONSTANT("vary", "Authorization, X-Api-Key, Accept-Encoding, Origin");

static void add_allowed(const struct models_api *api, const struct call *c, struct reply *r)
{
    struct slice allow = cors_allow(&api->cors, call_header(c, SLICE_LIT("origin")));
    if (allow.len > 0)
        reply_add_header(r, allow_all.name, allow);
}

static void add_cors(const struct models_api *api, const struct call *c, struct reply *r)
{
    if (cors_varies(&api->cors))
        add_allowed(api, c, r);
    else
        reply_add_constant(r, &allow_all);
    reply_add_constant(r, &expose);
}

static void add_found_headers(const struct models_api *api, struct reply *r, const struct answer *a)
{
    reply_add_header(r, SLICE_LIT("etag"), a->etag);
    reply_add_constant(r, &revalidate);
    reply_add_constant(r, cors_varies(&api->cors) ? &vary_origin : &vary);
}

static void add_error_headers(const struct models_api *api, struct reply *r)
{
    reply_add_constant(r, &no_store);
    if (cors_varies(&api->cors))
        reply_add_header(r, SLICE_LIT("vary"), SLICE_LIT("Origin"));
    if (r->status == 405)
        reply_add_header(r, SLICE_LIT("allow"), METHODS);
    if (r->status >= 500)
        reply_add_header(r, SLICE_LIT("retry-after"), SLICE_LIT("1"));
}

// -- replies ----------------------------------------------------------------

static void *allocate(void *ctx, size_t size)
{
    return call_alloc(ctx, size);
}

static struct arena arena_of(struct call *c)
{
    return (struct arena){allocate, c};
}

static void on_unpin(void *pin)
{
    answer_release(pin);
}

static void set_body(struct reply *r, const struct answer *a)
{
    reply_add_constant(r, &json);
    r->parts = a->parts;
    r->part_count = a->part_count;
    r->length = a->length;
}

static void fill_error(const struct models_api *api, struct call *c, struct reply *r,
                       enum public_error error, const struct error_subject *subject)
{
    struct credential who = credential_read(call_header(c, SLICE_LIT("x-api-key")),
                                            call_header(c, SLICE_LIT("authorization")), false);
    struct answer a;
    struct arena arena = arena_of(c);
    answer_error(&a, &arena, error, who.dialect, subject, call_request_id(c));
    set_body(r, &a);
    add_error_headers(api, r);
    add_cors(api, c, r);
}

static void send_error(const struct models_api *api, struct call *c, enum public_error error,
                       struct slice model)
{
    const struct error_subject subject = {model, call_method(c), call_path(c)};
    struct reply r = {.status = public_error_status(error)};
    fill_error(api, c, &r, error, &subject);
    reply_send(c, &r);
}

// The public body says no more than "Internal error."; the log and /metrics say why.
static void send_unknown(const struct models_api *api, struct call *c)
{
    const struct error_subject subject = {SLICE_NONE, call_method(c), call_path(c)};
    struct reply r = {.status = public_error_status(PUBLIC_INTERNAL),
                      .note = (int)key_gate_doubt(api->gate)};
    fill_error(api, c, &r, PUBLIC_INTERNAL, &subject);
    reply_send(c, &r);
}

static bool is_unchanged(const struct call *c, const struct answer *a)
{
    struct slice tags = call_header(c, SLICE_LIT("if-none-match"));
    return tags.len > 0 && etag_matches(tags, a->etag);
}

// a is in the request's memory; its pins go with the reply.
static void send_found(const struct models_api *api, struct call *c, struct answer *a)
{
    struct reply r = {.status = a->status, .unpin = on_unpin, .pin = a};
    if (is_unchanged(c, a)) {
        r.status = 304;
    } else {
        set_body(&r, a);
        if (a->gzip)
            reply_add_constant(&r, &packed);
    }
    add_found_headers(api, &r, a);
    add_cors(api, c, &r);
    reply_send(c, &r);
}

static void send_preflight(const struct models_api *api, struct call *c)
{
    struct reply r = {.status = 204};
    struct slice asked = call_header(c, SLICE_LIT("access-control-request-headers"));
    reply_add_header(&r, SLICE_LIT("allow"), METHODS);
    reply_add_header(&r, SLICE_LIT("access-control-allow-methods"), METHODS);
    if (asked.len > 0)
        reply_add_header(&r, SLICE_LIT("access-control-allow-headers"), asked);
    reply_add_header(&r, SLICE_LIT("access-control-max-age"), SLICE_LIT("86400"));
    reply_add_header(&r, SLICE_LIT("vary"),
                     cors_varies(&api->cors) ? SLICE_LIT("Access-Control-Request-Headers, Origin")
                                             : SLICE_LIT("Access-Control-Request-Headers"));
    add_cors(api, c, &r);
    reply_send(c, &r);
}

// -- with a key that passes -------------------------------------------------

// The lines that the key's aliases add to that view; NULL without aliases.
static struct alias_block *block_of(const struct models_api *api, struct key_entry *e,
                                    const struct view *v)
{
    if (e->key->aliases->count == 0)
        return NULL;
    struct alias_block *b = key_cache_block(e, v->serial);
    if (b == NULL) {
        b = alias_block_create(api->replica->shown, v, e->key->aliases);
        key_cache_keep_block(key_gate_cache(api->gate), e, b);
        alias_block_unref(b); // the entry keeps it: it is never the one to go
    }
    return b;
}

static void send_list(const struct models_api *api, struct call *c, struct key_entry *e)
{
    struct answer *a = call_alloc(c, sizeof(*a));
    struct arena arena = arena_of(c);
    struct view *v = catalog_view(api->replica->shown);
    bool gzip = accepts_gzip(call_header(c, SLICE_LIT("accept-encoding")));
    answer_list(a, &arena, v, block_of(api, e, v), gzip);
    send_found(api, c, a);
}

static void send_model(const struct models_api *api, struct call *c, const struct key_entry *e,
                       struct slice encoded)
{
    struct slice name;
    struct resolution found = {.outcome = RESOLVE_NOT_FOUND};
    if (public_path_decode(encoded, call_alloc(c, encoded.len + 1), &name))
        found = resolve_name(api->replica->shown, e->key->aliases, name);
    if (found.outcome != RESOLVE_FOUND) {
        send_error(api, c, PUBLIC_MODEL_NOT_FOUND, name);
        return;
    }
    struct answer *a = call_alloc(c, sizeof(*a));
    struct arena arena = arena_of(c);
    answer_model(a, &arena, &found, name);
    send_found(api, c, a);
}

static void send_verdict(const struct models_api *api, struct call *c, enum key_verdict verdict,
                         struct key_entry *e, const struct public_path *path)
{
    if (verdict == KEY_REFUSED)
        send_error(api, c, PUBLIC_INVALID_KEY, SLICE_NONE);
    else if (verdict != KEY_GRANTED)
        send_unknown(api, c);
    else if (path->route == PUBLIC_ROUTE_LIST)
        send_list(api, c, e);
    else
        send_model(api, c, e, path->name);
}

// -- waiting for the gate ---------------------------------------------------

struct pending {
    struct key_question question;
    const struct models_api *api;
    struct deferred *deferred;
};

static void on_verdict(struct key_question *q, enum key_verdict verdict, struct key_entry *e)
{
    struct pending *p = CM_CONTAINER_OF(q, struct pending, question);
    struct call *c = deferred_call(p->deferred);
    if (c != NULL) {
        struct public_path path = public_path_read(call_method(c), call_path(c));
        send_verdict(p->api, c, verdict, e, &path);
    }
    deferred_release(p->deferred);
    free(p);
}

static void wait_for_verdict(const struct models_api *api, struct call *c,
                             const struct secret_digest *digest, enum key_verdict later)
{
    struct pending *p = xcalloc(1, sizeof(*p));
    p->question.digest = *digest;
    p->question.crowded = !call_is_alone(c);
    p->question.on_verdict = on_verdict;
    p->api = api;
    if (key_gate_wait(api->gate, &p->question, later)) {
        p->deferred = call_defer(c);
    } else {
        free(p);
        send_unknown(api, c);
    }
}

static void answer_secret(const struct models_api *api, struct call *c, struct slice secret,
                          const struct public_path *path)
{
    struct secret_digest digest;
    struct key_entry *e;
    last_secret_digest(call_connection_memory(c), secret, &digest);
    enum key_verdict verdict = key_gate_ask(api->gate, &digest, &e);
    if (verdict == KEY_LATER_CONFIRM || verdict == KEY_LATER_READ)
        wait_for_verdict(api, c, &digest, verdict);
    else
        send_verdict(api, c, verdict, e, path);
}

// -- what the server calls --------------------------------------------------

static void answer_with_key(const struct models_api *api, struct call *c,
                            const struct public_path *path)
{
    struct credential who =
        credential_read(call_header(c, SLICE_LIT("x-api-key")),
                        call_header(c, SLICE_LIT("authorization")), api->check_sum);
    if (who.status == CREDENTIAL_PRESENT)
        answer_secret(api, c, who.secret, path);
    else
        send_error(api, c,
                   who.status == CREDENTIAL_MISSING ? PUBLIC_MISSING_KEY : PUBLIC_INVALID_KEY,
                   SLICE_NONE);
}

void models_api_handle(void *ctx, struct call *c)
{
    const struct models_api *api = ctx;
    struct public_path path = public_path_read(call_method(c), call_path(c));
    switch (path.route) {
    case PUBLIC_ROUTE_UNKNOWN:
        send_error(api, c, PUBLIC_UNKNOWN_URL, SLICE_NONE);
        break;
    case PUBLIC_ROUTE_WRONG_METHOD:
        send_error(api, c, PUBLIC_METHOD_NOT_ALLOWED, SLICE_NONE);
        break;
    case PUBLIC_ROUTE_PREFLIGHT:
        send_preflight(api, c);
        break;
    default:
        answer_with_key(api, c, &path);
    }
}

void models_api_refuse(void *ctx, struct call *c, struct reply *r)
{
    const struct models_api *api = ctx;
    const struct error_subject subject = {SLICE_NONE, call_method(c), call_path(c)};
    enum public_error error = r->status >= 500   ? PUBLIC_INTERNAL
                              : r->status == 413 ? PUBLIC_TOO_LARGE
                              : r->status == 431 ? PUBLIC_HEAD_TOO_LARGE
                                                 : PUBLIC_BAD_REQUEST;
    fill_error(api, c, r, error, &subject);
}
