// SPDX-License-Identifier: Apache-2.0
// The settings that say where the store is and how long its word counts, for every
// program that has them: the same name means the same, and has the same default.
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/option.h"

// Rows of an option table. offset_: of the field, see struct option.
#define STORE_ROW_MAX_STALE_S(offset_, help_)                                                      \
    {                                                                                              \
        .name = "CM_MAX_STALE_S", .type = OPTION_UINT, .offset = (offset_), .fallback = "3600",    \
        .max = 31536000, .unit = "s", .help = (help_)                                              \
    }
#define STORE_ROW_REDIS_PASSWORD(offset_)                                                          \
    {                                                                                              \
        .name = "CM_REDIS_PASSWORD", .type = OPTION_STRING, .offset = (offset_),                   \
        .flags = OPTION_SECRET, .help = "in place of a password in CM_REDIS_URL"                   \
    }
#define STORE_ROW_REDIS_PREFIX(offset_)                                                            \
    {                                                                                              \
        .name = "CM_REDIS_PREFIX", .type = OPTION_STRING, .offset = (offset_), .fallback = "cm",   \
        .help = "of all keys and channels; one fleet, one prefix"                                  \
    }
#define STORE_ROW_REDIS_URL(offset_)                                                               \
    {                                                                                              \
        .name = "CM_REDIS_URL", .type = OPTION_STRING, .offset = (offset_),                        \
        .fallback = "redis://127.0.0.1:6379", .flags = OPTION_SECRET,                              \
        .help = "redis://[user[:password]@]host[:port][/db], unix:///path or "                     \
                "redis+sentinel://host:port,host:port/service"                                     \
    }
#define STORE_ROW_REPAIR_WAIT_MS(offset_, help_)                                                   \
    {                                                                                              \
        .name = "CM_REPAIR_WAIT_MS", .type = OPTION_UINT, .offset = (offset_), .fallback = "3000", \
        .max = 600000, .unit = "ms", .help = (help_)                                               \
    }

// CM_REDIS_URL and CM_REDIS_PREFIX as their users will read them. A line for each
// mistake in errors; NULL was a mistake before and is none here.
CM_MUST_CHECK bool store_settings_check(const char *redis_url, const char *redis_prefix,
                                        struct buf *errors);
