// SPDX-License-Identifier: Apache-2.0
// What cm-admin was told by its environment: one struct, checked as a whole.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/buf.h"

// Strings are NUL-ended and owned by the struct; none but redis_password is NULL.
struct admin_settings {
    char *listen;
    char *ops_listen;
    char *tokens_file;
    char *redis_url;
    char *redis_password; // NULL = what the URL says
    char *redis_prefix;
    uint64_t max_body_mib;
    uint64_t log_keep;    // entries of the change log
    uint64_t max_stale_s; // what the workers were told; 0 = for ever
    uint64_t drain_timeout_s;
    uint64_t repair_wait_ms; // how long lost writes are left to another admin
    char *state_dir;         // of the journal; "" = none
    int log_level;           // enum log_level
};

// Fills *s (zeroed by the caller) from environ_; the tokens file is read to see
// that it is good. Every mistake is a line in
// errors; false when there was any. admin_settings_free in both cases.
CM_MUST_CHECK bool admin_settings_load(struct admin_settings *s, char *const *environ_,
                                       struct buf *errors);
// Reads CM_LOG_LEVEL_FILE, if that is where the level is, once more. On a mistake
// (a line in errors) nothing changes.
CM_MUST_CHECK bool admin_settings_reload_log_level(struct admin_settings *s, char *const *environ_,
                                                   struct buf *errors);
void admin_settings_free(struct admin_settings *s);
void admin_settings_print_help(FILE *out);
void admin_settings_print_effective(const struct admin_settings *s, FILE *out);
