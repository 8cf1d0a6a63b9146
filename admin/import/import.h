// SPDX-License-Identifier: Apache-2.0
// Whole catalogs as other projects publish them: one reader per format, each of
// which turns a document into entries for our own validator.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"
#include "common/base/util.h"
#include "common/model/mistakes.h"

// Index into the table of formats; the order of IMPORT_FORMATS.
#define IMPORT_FORMATS "native|openrouter"

struct import_entry {
    char *id;
    json_t *doc;  // the writable members of a model; NULL = skipped
    char *reason; // why it was skipped
};

// A zeroed struct is empty.
struct import {
    bool carries_status; // the format says whether a model is active
    size_t count, room;
    struct import_entry *entries;
    json_t *ids; // object: every id that is mentioned, skipped ones too
};

// Reads doc. False with mistakes when it is no document of that format at all;
// entries that cannot be used are skipped, each with its reason.
CM_MUST_CHECK bool import_read(int format, const json_t *doc, struct import *out,
                               struct mistakes *mistakes);
void import_fini(struct import *i);

// For the readers. Takes over doc; an id that is not a model id, or was there
// before, is skipped.
void import_add(struct import *i, struct slice id, json_t *doc);
void import_skip(struct import *i, struct slice id, const char *format, ...) CM_PRINTF(3, 4);

// The readers.
CM_MUST_CHECK bool import_native(const json_t *doc, struct import *out, struct mistakes *mistakes);
CM_MUST_CHECK bool import_openrouter(const json_t *doc, struct import *out,
                                     struct mistakes *mistakes);
