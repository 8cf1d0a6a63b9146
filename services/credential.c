// SPDX-License-Identifier: Apache-2.0
// x-api-key decides both the key and the dialect as soon as it is non-empty;
// else a Bearer token does. A header of blanks is an empty one. What a key looks
// like is nobody's business here but for its length, unless the operator has
// said that all keys are of our making.
#include "services/credential.h"

#include "common/model/secret.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// The token of "Bearer <token>", the scheme in any case; empty for anything else.
static struct slice bearer_token(struct slice authorization)
{
    const struct slice scheme = SLICE_LIT("bearer");
    struct slice value = slice_trim(authorization);
    if (value.len <= scheme.len || !slice_equal_nocase(slice_make(value.ptr, scheme.len), scheme) ||
        !is_blank(value.ptr[scheme.len]))
        return SLICE_NONE;
    return slice_trim(slice_skip(value, scheme.len));
}

struct credential credential_read(struct slice x_api_key, struct slice authorization,
                                  bool check_sum)
{
    struct credential c = {CREDENTIAL_PRESENT, DIALECT_ANTHROPIC, slice_trim(x_api_key)};
    if (c.secret.len == 0) {
        c.dialect = DIALECT_OPENAI;
        c.secret = bearer_token(authorization);
    }
    if (c.secret.len == 0)
        c.status = CREDENTIAL_MISSING;
    else if (c.secret.len > SECRET_MAX || (check_sum && !secret_checksum_ok(c.secret)))
        c.status = CREDENTIAL_REFUSED;
    return c;
}
