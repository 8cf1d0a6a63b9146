// SPDX-License-Identifier: Apache-2.0
// What cm-models was told by its environment: one struct, checked as a whole.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/log.h"

enum { SETTINGS_WORKERS_MAX = 256 };

enum http2_setting { HTTP2_OFF, HTTP2_ON, HTTP2_FORCE };
enum access_log { ACCESS_LOG_OFF, ACCESS_LOG_ERRORS, ACCESS_LOG_ALL };

// Strings are NUL-ended and owned by the struct; none is NULL but where noted.
struct settings {
    char *listen;
    char *tls_listen;    // used when settings_has_tls
    char *tls_cert_file; // NULL together with tls_key_file
    char *tls_key_file;
    char *ops_listen;
    char *redis_url;
    char *redis_password; // NULL = what the URL says
    char *redis_prefix;
    char *cors_origins; // "*" or "https://a.example,https://b.example"
    char *state_dir;    // "" = nothing is kept
    char *workers_text; // as given; see workers
    uint64_t workers;   // 1..SETTINGS_WORKERS_MAX, "auto" resolved
    uint64_t key_cache_mb;
    uint64_t max_connections;
    uint64_t poll_ms;
    uint64_t max_stale_s; // 0 = for ever
    uint64_t repair_wait_ms;
    uint64_t drain_delay_ms;
    uint64_t drain_timeout_s;
    uint64_t idle_timeout_s;
    uint64_t head_timeout_s;
    uint64_t write_timeout_s;
    int log_level;  // enum log_level
    int access_log; // enum access_log
    int key_checksum;
    int http2; // enum http2_setting
};

// Fills *s (zeroed by the caller) from environ_. Every mistake is a line in
// errors; false when there was any. settings_free in both cases.
CM_MUST_CHECK bool settings_load(struct settings *s, char *const *environ_, struct buf *errors);
void settings_free(struct settings *s);
// Reads CM_LOG_LEVEL_FILE, if that is where the level is, once more. On a mistake
// (a line in errors) nothing changes.
CM_MUST_CHECK bool settings_reload_log_level(struct settings *s, char *const *environ_,
                                             struct buf *errors);
bool settings_has_tls(const struct settings *s);
void settings_print_help(FILE *out);
void settings_print_effective(const struct settings *s, FILE *out);
