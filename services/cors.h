// SPDX-License-Identifier: Apache-2.0
// Which web pages may read our answers: CM_CORS_ORIGINS.
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

// "*" or "https://a.example,https://b.example"; blanks around an origin are
// ignored. The text must outlive the struct.
struct cors {
    struct slice origins;
};

// origins: as checked by settings_load.
void cors_init(struct cors *c, struct slice origins);
// The answer depends on who asks: it must say so in Vary.
bool cors_varies(const struct cors *c);
// Value of Access-Control-Allow-Origin for a request with that Origin (SLICE_NONE
// when absent); empty: send none. A view of either text.
struct slice cors_allow(const struct cors *c, struct slice origin);
