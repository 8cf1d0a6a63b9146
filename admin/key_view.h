// SPDX-License-Identifier: Apache-2.0
// A key, and its aliases, as the API shows them.
#pragma once

#include "admin/key_doc.h"

enum key_view_secret {
    KEY_VIEW_PLAIN,        // no "secret" member
    KEY_VIEW_SECRET,       // with the secret that is given
    KEY_VIEW_SECRET_HIDDEN // "secret":null
};

// The object as a new reference: id, name, status, enabled, hint, tags, aliases,
// created_at, expires_at, revision.
CM_MUST_CHECK json_t *key_view(const struct key_doc *k, int64_t now_s);
// Appends it, with "secret" as asked for; secret only with KEY_VIEW_SECRET.
void key_view_write(struct buf *out, const struct key_doc *k, int64_t now_s,
                    enum key_view_secret how, const char *secret);
// Appends {"aliases":[...]}.
void key_view_write_aliases(struct buf *out, const struct key_doc *k);
