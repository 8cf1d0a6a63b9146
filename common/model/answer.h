// SPDX-License-Identifier: Apache-2.0
// The public answer as bytes: list, one model, errors. Workers and the admin's
// preview share it, so that the preview is the answer.
//
// An answer is a list of slices into memory that is pinned for it; nothing is
// serialised or copied per request but the name of an alias.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"
#include "common/model/alias_block.h"
#include "common/model/etag.h"
#include "common/model/negotiate.h"
#include "common/model/public_error.h"
#include "common/model/resolve.h"
#include "common/model/view.h"

// Memory with the lifetime of the reply (a request pool).
struct arena {
    void *(*alloc)(void *ctx, size_t size);
    void *ctx;
};

struct answer {
    int status; // 200, or an error's
    bool gzip;
    size_t part_count;
    struct slice *parts; // arena memory; what they point at is arena memory or pinned
    size_t length;       // sum of the parts
    struct slice etag;   // with its quotes; pinned or arena memory; empty for errors
    // Pins, to be dropped with answer_release when the reply's bytes are gone.
    struct view *view;
    struct alias_block *block;
    struct model *model;
};

// GET /v1/models. block is NULL when the key has no aliases; it must belong to
// v. Pins both. gzip only when wanted and worth it (identity length >= 1,024).
void answer_list(struct answer *out, const struct arena *arena, struct view *v,
                 struct alias_block *block, bool gzip_wanted);
// GET /v1/models/{name} for a found resolution: the target's object with id =
// name and, through an alias, root. Pins the model. Never gzip.
void answer_model(struct answer *out, const struct arena *arena, const struct resolution *r,
                  struct slice name);
// SPEC 1.5, see public_error.h. Pins nothing.
void answer_error(struct answer *out, const struct arena *arena, enum public_error error,
                  enum dialect dialect, const struct error_subject *subject,
                  struct slice request_id);

// Drops the pins; the parts must not be read any more.
void answer_release(struct answer *a);
