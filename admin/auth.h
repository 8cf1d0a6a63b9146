// SPDX-License-Identifier: Apache-2.0
// Who is asking: the Authorization header against the tokens, and a limit on
// guessing.
#pragma once

#include <stdint.h>

#include "admin/tokens.h"

enum { AUTH_WRONG_PER_MINUTE = 10, AUTH_ADDRESSES_MAX = 1024, AUTH_ADDRESS_MAX = 64 };

enum auth_result {
    AUTH_OK,
    AUTH_MISSING, // no Bearer token at all: not counted
    AUTH_WRONG,
    AUTH_LIMITED // wrong, and this address had its wrong ones for this minute
};

struct auth;

// Reads the tokens file. NULL with a line for each mistake in errors.
CM_MUST_CHECK struct auth *auth_create(const char *tokens_file, struct buf *errors);
void auth_destroy(struct auth *a);
// Reads the file again; on error the old tokens stay.
CM_MUST_CHECK bool auth_reload(struct auth *a, struct buf *errors);
size_t auth_tokens(const struct auth *a);
// header: the value of Authorization, ptr NULL when absent. With AUTH_OK *who is
// set, valid until the next reload. now_ms only runs forward.
enum auth_result auth_check(struct auth *a, struct slice header, struct slice address,
                            uint64_t now_ms, const struct token **who);
