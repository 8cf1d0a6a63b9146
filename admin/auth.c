// SPDX-License-Identifier: Apache-2.0
// A right token always passes, whatever its address did before: an attacker
// behind the same proxy must not lock the operator out. Wrong ones are counted
// by address in windows of a minute. The table is bounded: a flood of addresses
// takes the place of the oldest window, which only makes guessing cheaper for
// addresses that nobody runs out of anyway; the tokens are what protects.
#include "admin/auth.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_MS = 60000 };

struct attempts {
    char address[AUTH_ADDRESS_MAX + 1];
    uint64_t since_ms;
    unsigned wrong;
};

struct auth {
    char *file;
    struct tokens tokens;
    size_t address_count;
    struct attempts addresses[AUTH_ADDRESSES_MAX];
};

struct auth *auth_create(const char *tokens_file, struct buf *errors)
{
    struct tokens tokens;
    if (!tokens_load(tokens_file, &tokens, errors))
        return NULL;
    struct auth *a = xcalloc(1, sizeof(*a));
    a->file = slice_dup(slice_of(tokens_file));
    a->tokens = tokens;
    return a;
}

void auth_destroy(struct auth *a)
{
    if (a == NULL)
        return;
    tokens_fini(&a->tokens);
    free(a->file);
    free(a);
}

bool auth_reload(struct auth *a, struct buf *errors)
{
    struct tokens tokens;
    if (!tokens_load(a->file, &tokens, errors))
        return false;
    tokens_fini(&a->tokens);
    a->tokens = tokens;
    return true;
}

size_t auth_tokens(const struct auth *a)
{
    return a->tokens.count;
}

// The address's window: its own, else a free one, else the oldest.
static struct attempts *attempts_of(struct auth *a, struct slice address, uint64_t now_ms)
{
    struct attempts *oldest = &a->addresses[0];
    if (address.len > AUTH_ADDRESS_MAX)
        address.len = AUTH_ADDRESS_MAX;
    for (size_t i = 0; i < a->address_count; i++) {
        struct attempts *at = &a->addresses[i];
        if (slice_equal(slice_of(at->address), address))
            return at;
        if (at->since_ms < oldest->since_ms)
            oldest = at;
    }
    if (a->address_count < AUTH_ADDRESSES_MAX)
        oldest = &a->addresses[a->address_count++];
    *oldest = (struct attempts){.since_ms = now_ms};
    if (address.len > 0)
        memcpy(oldest->address, address.ptr, address.len);
    return oldest;
}

static enum auth_result count_wrong(struct auth *a, struct slice address, uint64_t now_ms)
{
    struct attempts *at = attempts_of(a, address, now_ms);
    if (now_ms - at->since_ms >= WINDOW_MS) {
        at->since_ms = now_ms;
        at->wrong = 0;
    }
    if (at->wrong >= AUTH_WRONG_PER_MINUTE)
        return AUTH_LIMITED;
    at->wrong++;
    return AUTH_WRONG;
}

enum auth_result auth_check(struct auth *a, struct slice header, struct slice address,
                            uint64_t now_ms, const struct token **who)
{
    struct slice secret = slice_trim(header);
    struct slice scheme = slice_take(&secret, ' ');
    secret = slice_trim(secret);
    if (!slice_equal_nocase(scheme, SLICE_LIT("Bearer")) || secret.len == 0)
        return AUTH_MISSING;
    *who = secret.len > SECRET_MAX ? NULL : tokens_find(&a->tokens, secret);
    return *who != NULL ? AUTH_OK : count_wrong(a, address, now_ms);
}
