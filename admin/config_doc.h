// SPDX-License-Identifier: Apache-2.0
// The whole desired state as one document: {"object":"config","models":[...],
// "keys":[...]}. What GET /config writes, POST /config/apply reads.
#pragma once

#include "admin/import/import.h"
#include "admin/key_doc.h"
#include "common/model/doc.h"

// A part that is absent is not spoken of: nothing there is changed or deleted.
struct config_doc {
    bool has_models, has_keys;
    struct import models; // entries; none is skipped
    size_t key_count;
    struct key_doc **keys; // owned; in the document's order; secret_count 0 = no secret given
    json_t *key_ids;       // object: id -> index
};

// False with mistakes: every entry must be good, because what a document leaves
// out may be deleted. now_s is the date of a model that has none. A zeroed struct
// is empty; config_doc_fini in both cases.
CM_MUST_CHECK bool config_doc_read(const json_t *doc, int64_t now_s, struct config_doc *out,
                                   struct mistakes *mistakes);
void config_doc_fini(struct config_doc *c);
bool config_doc_names_key(const struct config_doc *c, struct slice key_id);

// One entry each, as the document shows it; no revision, so that what did not
// change reads the same. False when the record is not valid, and nothing is
// appended. hashes: with secret_sha256 and grace.
CM_MUST_CHECK bool config_doc_write_model(struct buf *out, struct slice record);
void config_doc_write_key(struct buf *out, const struct key_doc *k, int64_t now_s, bool hashes);
