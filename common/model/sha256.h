// SPDX-License-Identifier: Apache-2.0
// SHA-256 with one reused context and a prefetched digest.
#pragma once

#include <stddef.h>

#include "common/base/slice.h"

enum { SHA256_LEN = 32 };

// Of the parts one after the other. The context is the process's own: our
// programs have one thread.
void sha256_parts(const struct slice *parts, size_t count, unsigned char out[SHA256_LEN]);
void sha256_slice(struct slice text, unsigned char out[SHA256_LEN]);
