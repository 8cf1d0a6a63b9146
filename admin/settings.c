// SPDX-License-Identifier: Apache-2.0
// The option table of cm-admin, and what its engine cannot check: where the store
// is, and the tokens, without which there is nothing to serve.
#include "admin/settings.h"

#include <stddef.h>

#include "admin/tokens.h"
#include "common/base/option.h"
#include "common/store/store_settings.h"

#define AT(member) offsetof(struct admin_settings, member)

static const struct option options[] = {
    {.name = "CM_ADMIN_LISTEN",
     .type = OPTION_ADDRESS,
     .offset = AT(listen),
     .fallback = "127.0.0.1:9180",
     .help = "where the admin API listens"},
    {.name = "CM_ADMIN_MAX_BODY",
     .type = OPTION_UINT,
     .offset = AT(max_body_mib),
     .fallback = "64",
     .min = 1,
     .max = 1024,
     .unit = "MiB",
     .help = "largest request body; more is a 413"},
    {.name = "CM_ADMIN_OPS_LISTEN",
     .type = OPTION_ADDRESS,
     .offset = AT(ops_listen),
     .fallback = "127.0.0.1:9190",
     .help = "where /livez, /readyz and /metrics listen"},
    {.name = "CM_ADMIN_TOKENS_FILE",
     .type = OPTION_FILE,
     .offset = AT(tokens_file),
     .flags = OPTION_REQUIRED,
     .help = "lines \"name role sha256:<hex>\"; roles viewer, editor; re-read on SIGHUP"},
    {.name = "CM_DRAIN_TIMEOUT_S",
     .type = OPTION_UINT,
     .offset = AT(drain_timeout_s),
     .fallback = "20",
     .min = 1,
     .max = 600,
     .unit = "s",
     .help = "how long requests in flight may take after SIGTERM"},
    {.name = "CM_LOG_KEEP",
     .type = OPTION_UINT,
     .offset = AT(log_keep),
     .fallback = "100000",
     .min = 16,
     .max = 10000000,
     .unit = "revisions",
     .help = "how many changes the log in Redis keeps; a worker further behind reloads"},
    {.name = "CM_LOG_LEVEL",
     .type = OPTION_CHOICE,
     .offset = AT(log_level),
     .fallback = "info",
     .choices = "debug|info|warn|error",
     .flags = OPTION_FROM_FILE,
     .help = "least severe lines on stderr; its file is re-read on SIGHUP"},
    {.name = "CM_MAX_STALE_S",
     .type = OPTION_UINT,
     .offset = AT(max_stale_s),
     .fallback = "3600",
     .max = 31536000,
     .unit = "s",
     .help = "the workers' CM_MAX_STALE_S, for workers that were never heard; 0 = for ever"},
    {.name = "CM_REDIS_PASSWORD",
     .type = OPTION_STRING,
     .offset = AT(redis_password),
     .flags = OPTION_SECRET,
     .help = "password for Redis; wins over the one in the URL"},
    {.name = "CM_REDIS_PREFIX",
     .type = OPTION_STRING,
     .offset = AT(redis_prefix),
     .fallback = "cm",
     .help = "hash tag of all keys; one fleet, one prefix"},
    {.name = "CM_REDIS_URL",
     .type = OPTION_STRING,
     .offset = AT(redis_url),
     .fallback = "redis://127.0.0.1:6379",
     .flags = OPTION_SECRET,
     .help = "redis://[user[:password]@]host[:port][/db], unix:///path or "
             "redis+sentinel://host:port,host:port/service"},
    {.name = "CM_REPAIR_WAIT_MS",
     .type = OPTION_UINT,
     .offset = AT(repair_wait_ms),
     .fallback = "3000",
     .max = 600000,
     .unit = "ms",
     .help = "the workers' CM_REPAIR_WAIT_MS: how long lost writes are left to another admin"},
    {.name = "CM_STATE_DIR",
     .type = OPTION_STRING,
     .offset = AT(state_dir),
     .fallback = "",
     .help = "directory of the journal, which gives Redis back what it lost; not shared"},
};

static const struct option_table table = {
    .program = "cm-admin",
    .purpose = "Admin API of the CrossModel models service: writes Redis, publishes changes.",
    .options = options,
    .count = CM_ARRAY_LEN(options),
};

static bool check_tokens(const char *file, struct buf *errors)
{
    struct tokens tokens;
    if (file == NULL) // a mistake that has been reported
        return true;
    if (!tokens_load(file, &tokens, errors))
        return false;
    tokens_fini(&tokens);
    return true;
}

bool admin_settings_load(struct admin_settings *s, char *const *environ_, struct buf *errors)
{
    bool ok = option_load(&table, environ_, s, errors);
    ok = store_settings_check(s->redis_url, s->redis_prefix, errors) && ok;
    return check_tokens(s->tokens_file, errors) && ok;
}

bool admin_settings_reload_log_level(struct admin_settings *s, char *const *environ_,
                                     struct buf *errors)
{
    return option_reload(&table, "CM_LOG_LEVEL", environ_, s, errors);
}

void admin_settings_free(struct admin_settings *s)
{
    option_free(&table, s);
}

void admin_settings_print_help(FILE *out)
{
    option_print_help(&table, out);
}

void admin_settings_print_effective(const struct admin_settings *s, FILE *out)
{
    option_print_effective(&table, s, out);
}
