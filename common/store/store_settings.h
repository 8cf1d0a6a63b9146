// SPDX-License-Identifier: Apache-2.0
// The check of the settings that say where the store is, for every program that
// has them.
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"

// CM_REDIS_URL and CM_REDIS_PREFIX as their users will read them. A line for each
// mistake in errors; NULL was a mistake before and is none here.
CM_MUST_CHECK bool store_settings_check(const char *redis_url, const char *redis_prefix,
                                        struct buf *errors);
