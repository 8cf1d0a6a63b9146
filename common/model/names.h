// SPDX-License-Identifier: Apache-2.0
// The grammar of model ids and alias names (SPEC 3, Rules).
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

enum {
    NAMES_VENDOR_MAX = 64,
    NAMES_MODEL_NAME_MAX = 190,
    NAMES_ALIAS_MAX = 256,
    NAMES_PREFIX_MIN = 2
};

// "vendor/name": vendor [a-z0-9~][a-z0-9._-]{0,63}, name 1..190 bytes of
// printable ASCII but space, '"', '\', '?', '#', '%'. The name may hold slashes.
bool names_is_model_id(struct slice id);
// Alias name: 1..256 bytes under the same character rule; a prefix alias needs 2.
bool names_is_alias(struct slice name, bool is_prefix);
// The part before the first slash; empty when there is none.
struct slice names_vendor(struct slice id);
// "key_" + 26 characters of Crockford base32 (a ULID), lower or upper case as made.
bool names_is_key_id(struct slice id);
