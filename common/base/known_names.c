// SPDX-License-Identifier: Apache-2.0
// One list, so that one environment can serve all programs of a machine. A test
// holds it against the programs' option tables.
#include "common/base/known_names.h"

#include "common/base/util.h"

const char *const known_names[] = {
    // cm-models
    "CM_ACCESS_LOG", "CM_CORS_ORIGINS", "CM_DRAIN_DELAY_MS", "CM_DRAIN_TIMEOUT_S",
    "CM_HEAD_TIMEOUT_S", "CM_HTTP2", "CM_IDLE_TIMEOUT_S", "CM_KEY_CACHE_MB", "CM_KEY_CHECKSUM",
    "CM_LISTEN", "CM_LOG_LEVEL", "CM_MAX_CONNECTIONS", "CM_MAX_STALE_S", "CM_OPS_LISTEN",
    "CM_POLL_MS", "CM_REDIS_PASSWORD", "CM_REDIS_PREFIX", "CM_REDIS_URL", "CM_REPAIR_WAIT_MS",
    "CM_STATE_DIR", "CM_TLS_CERT_FILE", "CM_TLS_KEY_FILE", "CM_TLS_LISTEN", "CM_WORKERS",
    "CM_WRITE_TIMEOUT_S",
    // cm-admin
    "CM_ADMIN_LISTEN", "CM_ADMIN_MAX_BODY", "CM_ADMIN_OPS_LISTEN", "CM_ADMIN_TOKENS_FILE",
    "CM_LOG_KEEP",
    // deploy/local.sh and what it writes
    "CM_ADMIN_OPS_URL", "CM_ADMIN_TOKEN", "CM_ADMIN_URL", "CM_DATA_DIR", "CM_DEMO_KEY",
    "CM_OPS_URL", "CM_REDIS_PORT", "CM_TLS_URL", "CM_URL"};

const size_t known_names_count = CM_ARRAY_LEN(known_names);
