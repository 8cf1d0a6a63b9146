// SPDX-License-Identifier: Apache-2.0
// The fields of a model record, read and checked, and their two JSON forms.
// Inside of model.c's neighbourhood only; others use model.h.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/doc.h"

enum {
    MODEL_DISPLAY_NAME_MAX = 256, // bytes
    MODEL_OWNED_BY_MAX = 64,
    MODEL_MODALITIES_MAX = 16,
    MODEL_MODALITY_MAX = 32,
    MODEL_FLAGS_MAX = 32,
    MODEL_FLAG_MAX = 64
};
#define MODEL_INTEGER_MAX INT64_C(9007199254740991) // 2^53 - 1: exact in JavaScript too

struct modalities {
    size_t count; // never 0
    struct slice items[MODEL_MODALITIES_MAX];
};

// Views of the document that they were read from (or of the id that was given).
struct model_fields {
    struct slice id;
    struct slice display_name;
    int64_t created;
    struct slice owned_by;
    int64_t context_length; // 0 = unknown
    int64_t max_completion_tokens;
    struct modalities input, output;
    size_t flag_count;
    struct slice flags[MODEL_FLAGS_MAX]; // that are true, names ascending
    bool active;
};

// A client's document for model id: what is missing or null gets its default.
// False with mistakes (not NULL); then *out is undefined.
CM_MUST_CHECK bool model_fields_from_client(const json_t *doc, struct slice id, int64_t now_s,
                                            struct model_fields *out, struct mistakes *mistakes);
// A stored record: every member but the unknown numbers and empty capabilities
// must be there; members of a newer version are passed over.
CM_MUST_CHECK bool model_fields_from_record(const json_t *doc, struct model_fields *out,
                                            uint64_t *revision, struct mistakes *mistakes);

// Appends the canonical record (model_write_record's order).
void model_fields_write_record(struct buf *out, const struct model_fields *f, uint64_t revision);
// Appends the public object's members behind id, each with its comma before it:
// `,"object":"model"...`.
void model_fields_write_middle(struct buf *out, const struct model_fields *f);
const char *model_fields_status(const struct model_fields *f);
