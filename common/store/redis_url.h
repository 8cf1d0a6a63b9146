// SPDX-License-Identifier: Apache-2.0
// CM_REDIS_URL: where Redis is.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"

// Strings are NUL-ended and owned; NULL when absent.
struct redis_sentinel_url {
    char *host;
    uint16_t port;
};

struct redis_url {
    char *host; // NULL with path, and with sentinels (they say where the master is)
    uint16_t port;
    char *path; // unix socket
    struct redis_sentinel_url *sentinels;
    size_t sentinel_count;
    char *service; // what the sentinels call the master
    char *user;
    char *password;
    uint32_t database;
};

enum { REDIS_SENTINELS_MAX = 16 };
enum { REDIS_URL_ERROR_MAX = 200 };

// redis://[user[:password]@]host[:port][/db] (percent-encoding in user and
// password), unix:///path, redis+sentinel://[user[:password]@]host[:port],...
// /service[/db], [v6] hosts. rediss:// is refused with a line that says how. On
// error *out is unchanged and error is a NUL-ended phrase that repeats nothing of
// text (it may hold a password).
CM_MUST_CHECK bool redis_url_parse(struct slice text, struct redis_url *out,
                                   char error[REDIS_URL_ERROR_MAX]);
// Takes the place of the URL's own password (CM_REDIS_PASSWORD); copied, empty = none.
void redis_url_set_password(struct redis_url *url, struct slice password);
void redis_url_fini(struct redis_url *url); // wipes the password
