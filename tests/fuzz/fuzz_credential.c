// SPDX-License-Identifier: Apache-2.0
// Any bytes as the values of x-api-key and authorization, a line feed between them: the
// secret stands inside the header that decides, is trimmed and bounded, and a non-empty
// x-api-key always decides.
#include "services/credential.h"

#include "common/model/secret.h"
#include "tests/fuzz/fuzz.h"

static bool lies_within(struct slice inner, struct slice outer)
{
    return inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len;
}

static void check(struct slice x_api_key, struct slice authorization, bool check_sum)
{
    struct credential c = credential_read(x_api_key, authorization, check_sum);
    bool by_x_api_key = slice_trim(x_api_key).len > 0;
    CM_ASSERT((c.dialect == DIALECT_ANTHROPIC) == by_x_api_key);
    CM_ASSERT(!by_x_api_key || c.status != CREDENTIAL_MISSING);
    if (c.status == CREDENTIAL_MISSING) {
        CM_ASSERT(c.secret.len == 0);
        return;
    }
    CM_ASSERT(lies_within(c.secret, by_x_api_key ? x_api_key : authorization));
    CM_ASSERT(c.secret.len > 0 && slice_equal(slice_trim(c.secret), c.secret));
    if (c.status == CREDENTIAL_PRESENT)
        CM_ASSERT(c.secret.len <= SECRET_MAX && (!check_sum || secret_checksum_ok(c.secret)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice authorization = slice_make(data, size);
    struct slice x_api_key = slice_take(&authorization, '\n');
    check(x_api_key, authorization, false);
    check(x_api_key, authorization, true);
    return 0;
}
