// SPDX-License-Identifier: Apache-2.0
// Which content coding a client wants.
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

// RFC 9110 12.5.3: is gzip acceptable, and identity not preferred to it? An
// absent or empty header asks for identity.
bool accepts_gzip(struct slice accept_encoding);
