// SPDX-License-Identifier: Apache-2.0
// Parsed and thrown away: what counts is that a mistake is reported with all the
// others, before anything listens.
#include "common/store/store_settings.h"

#include "common/store/keyspace.h"
#include "common/store/redis_url.h"

static bool check_url(const char *text, struct buf *errors)
{
    struct redis_url url;
    char why[REDIS_URL_ERROR_MAX];
    if (redis_url_parse(slice_of(text), &url, why)) {
        redis_url_fini(&url);
        return true;
    }
    buf_printf(errors, "CM_REDIS_URL: %s\n", why);
    return false;
}

static bool check_prefix(const char *text, struct buf *errors)
{
    struct keyspace keyspace;
    if (keyspace_init(&keyspace, slice_of(text), 0))
        return true;
    buf_printf(errors, "CM_REDIS_PREFIX: '%s' is not 1 to %d of A-Z a-z 0-9 _ . : -\n", text,
               KEYSPACE_PREFIX_MAX);
    return false;
}

bool store_settings_check(const char *redis_url, const char *redis_prefix, struct buf *errors)
{
    bool url_good = redis_url == NULL || check_url(redis_url, errors);
    bool prefix_good = redis_prefix == NULL || check_prefix(redis_prefix, errors);
    return url_good && prefix_good;
}
