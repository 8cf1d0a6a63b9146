// SPDX-License-Identifier: Apache-2.0
// One catalog model: the stored record, its validation, and its public JSON,
// rendered once and shared by reference.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/digest.h"
#include "common/model/doc.h"
#include "common/model/etag.h"

enum { MODEL_RECORD_MAX = 64 * 1024 }; // a record of this length is invalid

// Immutable after it was made; counted by reference (one thread).
struct model {
    unsigned refs;
    bool active;
    int64_t created;   // seconds since the epoch, 0..253402300799
    uint64_t revision; // of the write that made this record
    struct slice id;
    struct slice owned_by;
    // The public object: {"id":<id>,...}. Between the id's JSON string and the
    // closing brace lies what an alias of this model shares with it:
    // body = `{"id":` + id_json + middle + `}`.
    struct slice body;
    struct slice id_json;
    struct slice middle;  // starts with `,"object":"model"`
    struct digest digest; // digest_record(id, body)
    struct etag etag;     // of body
    struct slice record;  // as it was parsed
};

// From a stored record (Redis, log entry): the one validator. NULL when it is
// not a valid record; why goes to mistakes (may be NULL). Members that this
// version does not know are passed over. Whether the record's id is the one that
// it was stored under is for the caller to check. Returns one reference.
CM_MUST_CHECK struct model *model_parse(struct slice record, struct mistakes *mistakes);
struct model *model_ref(struct model *m);
void model_unref(struct model *m); // NULL is fine

// The record form, canonical and compact, members in this order: id,
// display_name, created, owned_by, context_length, max_completion_tokens,
// architecture, capabilities (names ascending), status, revision. Unknown numbers
// and empty capabilities are left out. doc must have passed model_complete.
void model_write_record(struct buf *out, const json_t *doc, uint64_t revision);

// Checks a document that a client wrote for model `id` and completes it with
// the defaults (SPEC 3, Shapes): display_name = id, created = now_s, owned_by =
// the vendor, text in and out, no capabilities, active; null = unknown;
// integral floats become integers; capability flags that are false are dropped.
// Read-only members (object, type, created_at, root, revision, and id when it
// equals `id`) are ignored; an unknown member, a wrong type or another id is a
// mistake. Returns a new document holding exactly the writable members plus id,
// or NULL with mistakes (may be NULL). doc may be any JSON value.
CM_MUST_CHECK json_t *model_complete(const json_t *doc, struct slice id, int64_t now_s,
                                     struct mistakes *mistakes);
// RFC 7396 merge of patch onto a completed document (the stored record), then
// model_complete. NULL with mistakes.
CM_MUST_CHECK json_t *model_patch(const json_t *stored, const json_t *patch, struct slice id,
                                  int64_t now_s, struct mistakes *mistakes);
// True when both say the same but for the revision.
bool model_same(const json_t *a, const json_t *b);
// Appends the admin's shape: the public object plus status and revision. False,
// and nothing appended, when record is not a valid record.
bool model_write_admin(struct buf *out, struct slice record);
