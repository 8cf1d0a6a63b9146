// SPDX-License-Identifier: Apache-2.0
// The Lua scripts of scripts/, inside the binary.
#pragma once

#include "common/base/slice.h"

enum { SCRIPT_SHA1_LEN = 40 };

struct slice script_commit(void);
struct slice script_init(void);
// The name under which Redis knows a script (EVALSHA), NUL-ended.
void script_sha1(struct slice text, char out[SCRIPT_SHA1_LEN + 1]);
