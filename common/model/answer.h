// SPDX-License-Identifier: Apache-2.0
// The public answer as bytes: list, one model, errors, in both dialects. Workers
// and the admin's preview share it, so that the preview is the answer.
//
// An answer is a list of slices into memory that is pinned for it; nothing is
// serialised or copied per request but ids, tail and the alias lines.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"
#include "common/model/alias.h"
#include "common/model/catalog.h"

enum dialect { DIALECT_OPENAI, DIALECT_ANTHROPIC };

// Memory with the lifetime of the reply (a request pool).
struct arena {
    void *(*alloc)(void *ctx, size_t size);
    void *ctx;
};

enum { ANSWER_ETAG_MAX = 40 };

struct answer {
    int status; // 200, or an error's
    bool gzip;
    size_t part_count;
    struct slice *parts; // arena memory; what they point at is arena memory or pinned
    size_t length;       // sum of the parts
    size_t etag_len;     // 0 for errors; else with its quotes
    char etag[ANSWER_ETAG_MAX];
    // Pins, to be dropped with answer_release when the reply's bytes are gone.
    struct view *view;
    struct alias_block *block;
    struct model *model;
};

// The lines that one key's aliases add to one view: rendered at the first list
// that needs them, counted by reference. Aliases without an active target are
// left out.
struct alias_block {
    unsigned refs;
    uint64_t view_serial;
    size_t bytes; // memory, for cache bounds
    size_t count;
    struct slice body; // "," between and, when the view has models, at the end
    struct slice first_id_json, last_id_json;
    struct slice stored; // opening + body as stored or deflated blocks, for gzip
    uint32_t crc;        // CRC-32 of opening + body
    size_t stored_of;    // length of opening + body
    unsigned char digest[16];
};
CM_MUST_CHECK struct alias_block *alias_block_create(const struct catalog *c, const struct view *v,
                                                     const struct alias_set *set);
struct alias_block *alias_block_ref(struct alias_block *b);
void alias_block_unref(struct alias_block *b); // NULL is fine

// GET /v1/models. block is NULL when the key has no aliases; it must belong to
// v. Pins both. gzip only when wanted and worth it (identity length >= 1,024).
void answer_list(struct answer *out, const struct arena *arena, struct view *v,
                 struct alias_block *block, bool gzip_wanted);

enum resolve_outcome { RESOLVE_FOUND, RESOLVE_NOT_FOUND, RESOLVE_TARGET_UNAVAILABLE };
struct resolution {
    enum resolve_outcome outcome;
    const struct alias *alias; // the alias that matched, or NULL
    struct model *model;       // when found; borrowed
};
// SPEC 1.4: aliases (may be NULL) first, then the catalog.
struct resolution resolve_name(const struct catalog *c, const struct alias_set *aliases,
                               struct slice name);
// GET /v1/models/{name} for a found resolution: the target's object with id =
// name and, through an alias, root. Pins the model. Never gzip.
void answer_model(struct answer *out, const struct arena *arena, const struct resolution *r,
                  struct slice name);

enum public_error {
    PUBLIC_MISSING_KEY,
    PUBLIC_INVALID_KEY,
    PUBLIC_MODEL_NOT_FOUND,
    PUBLIC_UNKNOWN_URL,
    PUBLIC_METHOD_NOT_ALLOWED,
    PUBLIC_BAD_REQUEST, // 400 invalid_request_error / bad_request, for h2o's own refusals
    PUBLIC_TOO_LARGE,   // 413 request_too_large
    PUBLIC_INTERNAL
};
// What the error is about; unused members are empty.
struct error_subject {
    struct slice model; // decoded name
    struct slice method, path;
};
// SPEC 1.5. request_id is the id without quotes ("req_cm_...").
void answer_error(struct answer *out, const struct arena *arena, enum public_error error,
                  enum dialect dialect, const struct error_subject *subject,
                  struct slice request_id);
int public_error_status(enum public_error error);

// Drops the pins; the parts must not be read any more.
void answer_release(struct answer *a);

// RFC 9110 13.1.2: does an If-None-Match value match this entity tag (with
// quotes), by weak comparison? "*" matches.
bool etag_matches(struct slice if_none_match, struct slice etag);
// RFC 9110 12.5.3: is gzip acceptable and preferred over identity?
bool accepts_gzip(struct slice accept_encoding);
