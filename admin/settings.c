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
    OPTION_ROW_LOG_LEVEL(AT(log_level)),
    STORE_ROW_MAX_STALE_S(
        AT(max_stale_s),
        "the workers' CM_MAX_STALE_S, for workers that were never heard; 0 = for ever"),
    STORE_ROW_REDIS_PASSWORD(AT(redis_password)),
    STORE_ROW_REDIS_PREFIX(AT(redis_prefix)),
    STORE_ROW_REDIS_URL(AT(redis_url)),
    STORE_ROW_REPAIR_WAIT_MS(
        AT(repair_wait_ms),
        "the workers' CM_REPAIR_WAIT_MS: how long lost writes are left to another admin"),
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
