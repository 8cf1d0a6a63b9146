// SPDX-License-Identifier: Apache-2.0
// The Lua scripts of scripts/, inside the binary.
#pragma once

#include "common/base/slice.h"

struct slice script_commit(void);
struct slice script_init(void);
// The name under which Redis knows it (EVALSHA).
struct slice script_commit_sha1(void);
