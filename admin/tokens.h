// SPDX-License-Identifier: Apache-2.0
// The admin tokens: lines "name role sha256:<hex>" of CM_ADMIN_TOKENS_FILE.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/model/secret.h"

enum role { ROLE_VIEWER, ROLE_EDITOR };

enum { TOKEN_NAME_MAX = 64, TOKENS_MAX = 1000 };

struct token {
    char name[TOKEN_NAME_MAX + 1];
    enum role role;
    struct secret_digest digest;
};

struct tokens {
    size_t count;
    struct token *items;
};

// Reads the text of a tokens file: blank lines and lines that start with # are
// skipped; names and hashes are unique; there is at least one token. On error
// false, *out is unchanged, and errors has one line for each mistake. It never
// repeats a line's text, which might be a secret in the wrong place.
CM_MUST_CHECK bool tokens_parse(struct slice text, struct tokens *out, struct buf *errors);
// The same from a file.
CM_MUST_CHECK bool tokens_load(const char *path, struct tokens *out, struct buf *errors);
void tokens_fini(struct tokens *t);
// Who holds this secret, or NULL. Takes the same time wherever (and whether) it
// is found.
const struct token *tokens_find(const struct tokens *t, struct slice secret);
