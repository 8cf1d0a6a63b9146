// SPDX-License-Identifier: Apache-2.0
// One row per code. A problem is collected while a request is judged and
// written once, at the end; whoever sets it last decides.
#include "admin/problem.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    int status;
    unsigned retry_after;
    const char *name;
    const char *title;
} table[PROBLEM_COUNT] = {
    [PROBLEM_NONE] = {500, 0, "internal_error", "Internal error"},
    [PROBLEM_BAD_REQUEST] = {400, 0, "bad_request", "The request is not valid HTTP"},
    [PROBLEM_MALFORMED_JSON] = {400, 0, "malformed_json", "The body is not valid JSON"},
    [PROBLEM_UNKNOWN_PARAMETER] = {400, 0, "unknown_parameter", "Unknown query parameter"},
    [PROBLEM_INVALID_PARAMETER] = {400, 0, "invalid_parameter", "Invalid parameter"},
    [PROBLEM_UNAUTHENTICATED] = {401, 0, "unauthenticated", "A valid admin token is needed"},
    [PROBLEM_INSUFFICIENT_ROLE] = {403, 0, "insufficient_role", "The token's role is not enough"},
    [PROBLEM_NOT_FOUND] = {404, 0, "not_found", "Not found"},
    [PROBLEM_METHOD_NOT_ALLOWED] = {405, 0, "method_not_allowed", "Method not allowed"},
    [PROBLEM_IN_USE] = {409, 0, "in_use", "The resource is in use"},
    [PROBLEM_ALREADY_EXISTS] = {409, 0, "already_exists", "It exists already"},
    [PROBLEM_KEY_REVOKED] = {409, 0, "key_revoked", "The key is revoked"},
    [PROBLEM_PLAN_STALE] = {409, 0, "plan_stale", "The plan was made for another revision"},
    [PROBLEM_TOO_MANY_DELETES] = {409, 0, "too_many_deletes", "It would delete too much"},
    [PROBLEM_PRECONDITION_FAILED] = {412, 0, "precondition_failed", "The precondition failed"},
    [PROBLEM_BODY_TOO_LARGE] = {413, 0, "body_too_large", "The body is too large"},
    [PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {415, 0, "unsupported_media_type", "Unsupported media type"},
    [PROBLEM_EXPECTATION_FAILED] = {417, 0, "expectation_failed", "Expectation failed"},
    [PROBLEM_VALIDATION_FAILED] = {422, 0, "validation_failed", "The request is not valid"},
    [PROBLEM_ALIAS_TARGET_MISSING] = {422, 0, "alias_target_missing",
                                      "An alias points at no model"},
    [PROBLEM_IDEMPOTENCY_KEY_REUSED] = {422, 0, "idempotency_key_reused",
                                        "The Idempotency-Key belongs to another request"},
    [PROBLEM_TOO_MANY_ATTEMPTS] = {429, 60, "too_many_attempts", "Too many wrong tokens"},
    [PROBLEM_HEAD_TOO_LARGE] = {431, 0, "head_too_large", "The request's head is too large"},
    [PROBLEM_INTERNAL] = {500, 0, "internal_error", "Internal error"},
    [PROBLEM_STORE_UNAVAILABLE] = {503, 1, "store_unavailable", "The store is not available"},
    [PROBLEM_STORE_SUSPECT] = {503, 5, "store_suspect", "The store does not hold our data"},
};

void problem_fini(struct problem *p)
{
    buf_fini(&p->detail);
    buf_fini(&p->members);
    free(p->mistakes);
    *p = (struct problem){.code = PROBLEM_NONE};
}

void problem_set(struct problem *p, enum problem_code code, const char *format, ...)
{
    va_list args;
    p->code = code;
    buf_clear(&p->detail);
    va_start(args, format);
    buf_vprintf(&p->detail, format, args);
    va_end(args);
}

void problem_set_mistakes(struct problem *p, const struct mistakes *mistakes)
{
    if (p->mistakes == NULL)
        p->mistakes = xmalloc(sizeof(*p->mistakes));
    *p->mistakes = *mistakes;
    problem_set(p, PROBLEM_VALIDATION_FAILED, "%zu %s attention.", mistakes->count,
                mistakes->count == 1 ? "field needs" : "fields need");
}

int problem_status(enum problem_code code)
{
    return table[code].status;
}

enum problem_code problem_of_status(int status)
{
    for (int code = PROBLEM_NONE + 1; code < PROBLEM_COUNT; code++)
        if (table[code].status == status)
            return (enum problem_code)code;
    return status < 500 ? PROBLEM_BAD_REQUEST : PROBLEM_INTERNAL;
}

unsigned problem_retry_after(enum problem_code code)
{
    return table[code].retry_after;
}

static void write_errors(struct buf *out, const struct mistakes *mistakes)
{
    size_t kept = mistakes == NULL                 ? 0
                  : mistakes->count < MISTAKES_MAX ? mistakes->count
                                                   : MISTAKES_MAX;
    buf_append_str(out, ",\"errors\":[");
    for (size_t i = 0; i < kept; i++) {
        const struct mistake *m = &mistakes->items[i];
        buf_append_str(out, i > 0 ? ",{\"pointer\":" : "{\"pointer\":");
        doc_write_string(out, slice_of(m->pointer));
        buf_append_str(out, ",\"code\":");
        doc_write_string(out, slice_of(m->code));
        buf_append_str(out, ",\"detail\":");
        doc_write_string(out, slice_of(m->detail));
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

void problem_write(struct buf *out, const struct problem *p, struct slice request_id)
{
    buf_printf(out, "{\"type\":\"urn:crossmodel:problem:%s\",\"title\":", table[p->code].name);
    doc_write_string(out, slice_of(table[p->code].title));
    buf_printf(out, ",\"status\":%d,\"detail\":", table[p->code].status);
    doc_write_string(out, buf_slice(&p->detail));
    buf_printf(out, ",\"code\":\"%s\",\"request_id\":", table[p->code].name);
    doc_write_string(out, request_id);
    write_errors(out, p->mistakes);
    buf_append_slice(out, buf_slice(&p->members));
    buf_append_char(out, '}');
}
