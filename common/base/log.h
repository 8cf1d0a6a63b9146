// SPDX-License-Identifier: Apache-2.0
// JSON-line log on stderr that can never block: a line that does not fit is
// dropped and counted.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_field_kind { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_I64, LOG_FIELD_U64, LOG_FIELD_BOOL };

// One member of a line. Made by the LOG_* macros below only.
struct log_field {
    const char *name;
    enum log_field_kind kind;
    union {
        struct slice str;
        int64_t i64;
        uint64_t u64;
    } value;
};

// Who speaks: "cm-models", "worker 0". Kept by pointer; set once per process,
// before the first line. Opens the descriptor that lines go to.
void log_init(const char *program, const char *instance);
void log_set_level(enum log_level level);
// The same, with a line that says so whatever the levels are; none without a change.
void log_change_level(enum log_level level);
enum log_level log_level(void);
const char *log_level_name(enum log_level level); // "debug" ...
// Lines dropped so far because stderr would have blocked.
uint64_t log_dropped(void);

// Writes {"ts":...,"level":...,"event":...,<fields>}; one write(2) a line, at
// most 4,096 bytes (longer strings are cut). event is a fixed snake_case word.
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define LOG_STR(name_, slice_)                                                                     \
    ((struct log_field){.name = (name_), .kind = LOG_FIELD_STR, .value.str = (slice_)})
#define LOG_CSTR(name_, text_) LOG_STR(name_, slice_of(text_))
#define LOG_I64(name_, n_)                                                                         \
    ((struct log_field){.name = (name_), .kind = LOG_FIELD_I64, .value.i64 = (n_)})
#define LOG_U64(name_, n_)                                                                         \
    ((struct log_field){.name = (name_), .kind = LOG_FIELD_U64, .value.u64 = (n_)})
#define LOG_BOOL(name_, b_)                                                                        \
    ((struct log_field){.name = (name_), .kind = LOG_FIELD_BOOL, .value.u64 = (b_)})

// For an event without fields.
#define LOG_NONE ((struct log_field){.name = NULL, .kind = LOG_FIELD_END})

// LOG_INFO("feed_live", LOG_U64("revision", rev)); at least one field.
#define LOG_AT(level_, event_, ...)                                                                \
    do {                                                                                           \
        if ((level_) >= log_level())                                                               \
            log_write((level_), (event_), (const struct log_field[]){__VA_ARGS__, LOG_NONE});      \
    } while (0)
#define LOG_DEBUG(event_, ...) LOG_AT(LOG_LEVEL_DEBUG, event_, __VA_ARGS__)
#define LOG_INFO(event_, ...) LOG_AT(LOG_LEVEL_INFO, event_, __VA_ARGS__)
#define LOG_WARN(event_, ...) LOG_AT(LOG_LEVEL_WARN, event_, __VA_ARGS__)
#define LOG_ERROR(event_, ...) LOG_AT(LOG_LEVEL_ERROR, event_, __VA_ARGS__)
