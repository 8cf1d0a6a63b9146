// SPDX-License-Identifier: Apache-2.0
// Every CM_* environment variable of the product: each program refuses what is
// not in this list and ignores what belongs to a sister.
#pragma once

#include <stddef.h>

extern const char *const known_names[];
extern const size_t known_names_count;
