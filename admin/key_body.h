// SPDX-License-Identifier: Apache-2.0
// What a client wrote about a key: validation, and its effect on the document.
#pragma once

#include "admin/key_doc.h"
#include "common/model/doc.h"

enum { KEY_NAME_MAX = 256, KEY_TAG_MAX = 64, KEY_TAGS_MAX = 32, KEY_GRACE_MAX_S = 365 * 86400 };

// The body of POST /keys onto a fresh key. has_digest: a secret_sha256 was given,
// and *digest is it. False with mistakes; k is then not to be used.
CM_MUST_CHECK bool key_body_create(const json_t *body, struct key_doc *k, bool *has_digest,
                                   struct secret_digest *digest, struct mistakes *mistakes);
// The merge patch of PATCH /keys/{id}. What a GET shows beside the writable
// members may come back as it was; status and aliases that differ are mistakes.
CM_MUST_CHECK bool key_body_patch(const json_t *body, struct key_doc *k, int64_t now_s,
                                  struct mistakes *mistakes);
// {"grace_seconds":n}; NULL means no body.
CM_MUST_CHECK bool key_body_rotate(const json_t *body, int64_t *grace_s, struct mistakes *mistakes);
// A key of a configuration document: its id and what POST /keys takes, the time it
// was made, the hint, and in "grace" the secrets that still work beside the
// current one; status, revision and object are passed over. A new key, whose
// secrets are only those that were given (secret_count 0 = none); NULL with
// mistakes.
CM_MUST_CHECK struct key_doc *key_body_config(const json_t *body, struct mistakes *mistakes);
