// SPDX-License-Identifier: Apache-2.0
// One table says every error in both dialects. What a message repeats of the
// request is cut, so that an answer cannot be blown up from outside.
#include "common/model/public_error.h"

#include "common/model/doc.h"

struct row {
    int status;
    const char *type, *code; // OpenAI
    const char *anthropic_type;
    const char *message; // NULL: names what the request asked for
};

static const struct row rows[] = {
    [PUBLIC_MISSING_KEY] = {401, "authentication_error", "missing_api_key", "authentication_error",
                            "Missing Bearer token in Authorization header."},
    [PUBLIC_INVALID_KEY] = {401, "authentication_error", "invalid_api_key", "authentication_error",
                            "Invalid API key."},
    [PUBLIC_MODEL_NOT_FOUND] = {404, "invalid_request_error", "model_not_found", "not_found_error",
                                NULL},
    [PUBLIC_UNKNOWN_URL] = {404, "invalid_request_error", "unknown_url", "not_found_error", NULL},
    [PUBLIC_METHOD_NOT_ALLOWED] = {405, "invalid_request_error", "method_not_allowed",
                                   "invalid_request_error", NULL},
    [PUBLIC_BAD_REQUEST] = {400, "invalid_request_error", "bad_request", "invalid_request_error",
                            "The request could not be understood."},
    [PUBLIC_TOO_LARGE] = {413, "invalid_request_error", "request_too_large", "request_too_large",
                          "The request is too large."},
    [PUBLIC_HEAD_TOO_LARGE] = {431, "invalid_request_error", "request_header_too_large",
                               "request_too_large", "The request's head is too large."},
    [PUBLIC_INTERNAL] = {500, "api_error", "internal_error", "api_error", "Internal error."},
};

int public_error_status(enum public_error error)
{
    return rows[error].status;
}

static void append_cut(struct buf *out, struct slice name)
{
    buf_append(out, name.ptr, slice_utf8_cut(name, PUBLIC_ERROR_NAME_MAX));
}

// The three messages that name something; raw bytes, escaped as one string later.
static void compose(struct buf *out, enum public_error error, const struct error_subject *subject)
{
    if (error == PUBLIC_MODEL_NOT_FOUND) {
        buf_append_str(out, "Model '");
        append_cut(out, subject->model);
        buf_append_str(out, "' was not found or is unavailable.");
    } else if (error == PUBLIC_UNKNOWN_URL) {
        buf_append_str(out, "Unknown request URL: ");
        append_cut(out, subject->method);
        buf_append_char(out, ' ');
        append_cut(out, subject->path);
        buf_append_char(out, '.');
    } else {
        buf_append_str(out, "Method ");
        append_cut(out, subject->method);
        buf_append_str(out, " is not allowed for ");
        append_cut(out, subject->path);
        buf_append_char(out, '.');
    }
}

// What is plain ASCII without quotes and backslashes.
static void write_plain(struct buf *out, struct slice text)
{
    buf_append_char(out, '"');
    buf_append_slice(out, text);
    buf_append_char(out, '"');
}

static void write_message(struct buf *out, enum public_error error,
                          const struct error_subject *subject)
{
    if (rows[error].message != NULL) {
        write_plain(out, slice_of(rows[error].message));
        return;
    }
    struct buf message = {0};
    compose(&message, error, subject);
    doc_write_string(out, buf_slice(&message));
    buf_fini(&message);
}

void public_error_write(struct buf *out, enum public_error error, enum dialect dialect,
                        const struct error_subject *subject, struct slice request_id)
{
    const struct row *row = &rows[error];
    if (dialect == DIALECT_OPENAI) {
        buf_append_str(out, "{\"error\":{\"message\":");
        write_message(out, error, subject);
        buf_append_str(out, ",\"type\":");
        write_plain(out, slice_of(row->type));
        buf_append_str(out, ",\"param\":null,\"code\":");
        write_plain(out, slice_of(row->code));
        buf_append_str(out, "}}");
        return;
    }
    buf_append_str(out, "{\"type\":\"error\",\"error\":{\"type\":");
    write_plain(out, slice_of(row->anthropic_type));
    buf_append_str(out, ",\"message\":");
    write_message(out, error, subject);
    buf_append_str(out, "},\"request_id\":");
    write_plain(out, request_id);
    buf_append_char(out, '}');
}

// Written at its first use.
struct slice public_error_fixed(enum public_error error, enum dialect dialect)
{
    static struct buf texts[CM_ARRAY_LEN(rows)];
    static const struct error_subject nothing;
    if (dialect != DIALECT_OPENAI || rows[error].message == NULL)
        return SLICE_NONE;
    if (texts[error].len == 0)
        public_error_write(&texts[error], error, dialect, &nothing, SLICE_NONE);
    return buf_slice(&texts[error]);
}
