// SPDX-License-Identifier: Apache-2.0
// Who is asking, as far as the headers say: which secret, in which dialect
// (SPEC 1.2).
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"
#include "common/model/public_error.h"

enum credential_status {
    CREDENTIAL_MISSING, // no key at all
    CREDENTIAL_REFUSED, // no key can look like that: nobody needs to be asked
    CREDENTIAL_PRESENT
};

struct credential {
    enum credential_status status;
    enum dialect dialect; // set in every case: errors are told in it
    struct slice secret;  // when present; a view of the header's bytes
};

// The values of the two headers, SLICE_NONE when absent. check_sum: refuse what
// is not a secret of our own making (CM_KEY_CHECKSUM).
struct credential credential_read(struct slice x_api_key, struct slice authorization,
                                  bool check_sum);
