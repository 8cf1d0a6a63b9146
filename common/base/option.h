// SPDX-License-Identifier: Apache-2.0
// The option-table engine: one table per program says every CM_* variable; it
// parses, checks, prints --help and --check-config, and is tested against the
// README.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "common/base/buf.h"

enum option_type {
    OPTION_STRING, // char *; owned by the settings struct; NULL when unset and without default
    OPTION_UINT,   // uint64_t, min..max
    OPTION_CHOICE, // int: index into choices ("off|errors|all")
    OPTION_FILE,   // char *: a path, taken as it is (the name ends in _FILE)
    OPTION_ADDRESS // char *: "host:port" or "[v6]:port", port 0..65535, checked
};

enum option_flag {
    OPTION_SECRET = 1,    // shown as *** ; CM_X_FILE is accepted too
    OPTION_FROM_FILE = 2, // CM_X_FILE is accepted (URLs)
    OPTION_REQUIRED = 4
};

struct option {
    const char *name; // "CM_LISTEN"
    enum option_type type;
    size_t offset;        // of the field in the settings struct
    const char *fallback; // default as text; NULL = unset; "" = unset, and the field is ""
    uint64_t min, max;    // OPTION_UINT
    const char *choices;  // OPTION_CHOICE: "a|b|c"
    unsigned flags;
    const char *unit; // "ms", "s", "MiB" or NULL
    const char *help; // one line
};

// The row of CM_LOG_LEVEL, which every program has: enum log_level.
#define OPTION_ROW_LOG_LEVEL(offset_)                                                              \
    {                                                                                              \
        .name = "CM_LOG_LEVEL", .type = OPTION_CHOICE, .offset = (offset_), .fallback = "info",    \
        .choices = "debug|info|warn|error", .flags = OPTION_FROM_FILE,                             \
        .help = "the least level that is logged; its file is re-read on SIGHUP"                    \
    }

struct option_table {
    const char *program;          // "cm-models"
    const char *purpose;          // one sentence for --help
    const struct option *options; // alphabetical
    size_t count;
};

// Fills settings (zeroed by the caller) from environ (NULL-ended "NAME=value"
// array). All mistakes are appended to errors, one line each; false when there
// was any. CM_* names of the sister programs (known_names) are ignored, unknown
// ones are mistakes that name the nearest known one;
// Kubernetes service links (*_SERVICE_HOST, *_SERVICE_PORT*, *_PORT,
// *_PORT_<n>_*) are ignored. A value from a file loses one trailing newline.
CM_MUST_CHECK bool option_load(const struct option_table *table, char *const *environ_,
                               void *settings, struct buf *errors);
// Reads one variable anew, which makes sense where its value comes from a file.
// Not for texts. False, with the reason in errors, leaves the field unchanged.
CM_MUST_CHECK bool option_reload(const struct option_table *table, const char *name,
                                 char *const *environ_, void *settings, struct buf *errors);
// Frees the strings that option_load put into settings.
void option_free(const struct option_table *table, void *settings);
void option_print_help(const struct option_table *table, FILE *out);
// Effective values, one NAME=value a line, secrets as ***.
void option_print_effective(const struct option_table *table, const void *settings, FILE *out);
