// SPDX-License-Identifier: Apache-2.0
// The option table of cm-models and the checks that one row cannot say.
#include "services/settings.h"

#include <string.h>

#include "common/base/option.h"
#include "common/store/store_settings.h"
#include "services/cpus.h"

#define AT(field_) offsetof(struct settings, field_)

static const struct option options[] = {
    {.name = "CM_ACCESS_LOG",
     .type = OPTION_CHOICE,
     .offset = AT(access_log),
     .fallback = "errors",
     .choices = "off|errors|all",
     .help = "which requests are logged (errors: answered with 500 and above)"},
    {.name = "CM_CORS_ORIGINS",
     .type = OPTION_STRING,
     .offset = AT(cors_origins),
     .fallback = "*",
     .help = "origins that browsers may call from: * or a list with commas"},
    {.name = "CM_DRAIN_DELAY_MS",
     .type = OPTION_UINT,
     .offset = AT(drain_delay_ms),
     .fallback = "0",
     .max = 600000,
     .unit = "ms",
     .help = "after SIGTERM, go on accepting for so long while not ready"},
    {.name = "CM_DRAIN_TIMEOUT_S",
     .type = OPTION_UINT,
     .offset = AT(drain_timeout_s),
     .fallback = "20",
     .min = 1,
     .max = 3600,
     .unit = "s",
     .help = "from SIGTERM to the end, the delay included"},
    {.name = "CM_HEAD_TIMEOUT_S",
     .type = OPTION_UINT,
     .offset = AT(head_timeout_s),
     .fallback = "10",
     .min = 1,
     .max = 3600,
     .unit = "s",
     .help = "a request head has to be here so long after its first byte"},
    {.name = "CM_HTTP2",
     .type = OPTION_CHOICE,
     .offset = AT(http2),
     .fallback = "on",
     .choices = "off|on|force",
     .help = "on: where libh2o is a build that our guard was verified on"},
    {.name = "CM_IDLE_TIMEOUT_S",
     .type = OPTION_UINT,
     .offset = AT(idle_timeout_s),
     .fallback = "75",
     .min = 1,
     .max = 3600,
     .unit = "s",
     .help = "a connection without a request is closed after this"},
    {.name = "CM_KEY_CACHE_MB",
     .type = OPTION_UINT,
     .offset = AT(key_cache_mb),
     .fallback = "64",
     .min = 1,
     .max = 65536,
     .unit = "MiB",
     .help = "memory for keys and their alias lists, per worker"},
    {.name = "CM_KEY_CHECKSUM",
     .type = OPTION_CHOICE,
     .offset = AT(key_checksum),
     .fallback = "off",
     .choices = "off|on",
     .help = "refuse keys with a wrong checksum without asking Redis"},
    {.name = "CM_LISTEN",
     .type = OPTION_ADDRESS,
     .offset = AT(listen),
     .fallback = "0.0.0.0:8080",
     .help = "the public API"},
    OPTION_ROW_LOG_LEVEL(AT(log_level)),
    {.name = "CM_MAX_CONNECTIONS",
     .type = OPTION_UINT,
     .offset = AT(max_connections),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .help = "open connections per worker; more are closed at once"},
    STORE_ROW_MAX_STALE_S(AT(max_stale_s),
                          "serve known keys for so long without Redis; 0 = for ever"),
    {.name = "CM_OPS_LISTEN",
     .type = OPTION_ADDRESS,
     .offset = AT(ops_listen),
     .fallback = "127.0.0.1:9090",
     .help = "/livez, /readyz and /metrics"},
    {.name = "CM_POLL_MS",
     .type = OPTION_UINT,
     .offset = AT(poll_ms),
     .fallback = "250",
     .min = 20,
     .max = 60000,
     .unit = "ms",
     .help = "a lost announcement is noticed after at most 1.1 times this"},
    STORE_ROW_REDIS_PASSWORD(AT(redis_password)),
    STORE_ROW_REDIS_PREFIX(AT(redis_prefix)),
    STORE_ROW_REDIS_URL(AT(redis_url)),
    STORE_ROW_REPAIR_WAIT_MS(AT(repair_wait_ms),
                             "time for the admin to repair a Redis that lost writes"),
    {.name = "CM_STATE_DIR",
     .type = OPTION_STRING,
     .offset = AT(state_dir),
     .fallback = "",
     .help = "keep catalog and known keys here, to start without Redis"},
    {.name = "CM_TLS_CERT_FILE",
     .type = OPTION_FILE,
     .offset = AT(tls_cert_file),
     .help = "certificate and its chain (PEM), turns TLS on; re-read on SIGHUP"},
    {.name = "CM_TLS_KEY_FILE",
     .type = OPTION_FILE,
     .offset = AT(tls_key_file),
     .help = "its private key (PEM, no passphrase); re-read on SIGHUP"},
    {.name = "CM_TLS_LISTEN",
     .type = OPTION_ADDRESS,
     .offset = AT(tls_listen),
     .fallback = "0.0.0.0:8443",
     .help = "the public API over TLS, when there is a certificate"},
    {.name = "CM_WORKERS",
     .type = OPTION_STRING,
     .offset = AT(workers_text),
     .fallback = "auto",
     .help = "worker processes; auto = the processors that we may use"},
    {.name = "CM_WRITE_TIMEOUT_S",
     .type = OPTION_UINT,
     .offset = AT(write_timeout_s),
     .fallback = "20",
     .min = 1,
     .max = 3600,
     .unit = "s",
     .help = "a client that takes nothing of an answer is cut after this"},
};

static const struct option_table table = {
    .program = "cm-models",
    .purpose = "the public models API, served by worker processes",
    .options = options,
    .count = CM_ARRAY_LEN(options),
};

static void check_workers(struct settings *s, struct buf *errors)
{
    struct slice text = slice_of(s->workers_text);
    if (slice_equal(text, SLICE_LIT("auto"))) {
        s->workers = cpus_allowed();
        if (s->workers > SETTINGS_WORKERS_MAX)
            s->workers = SETTINGS_WORKERS_MAX;
    } else if (!slice_parse_u64(text, SETTINGS_WORKERS_MAX, &s->workers) || s->workers == 0) {
        buf_printf(errors, "CM_WORKERS: '%.*s' is neither auto nor a whole number from 1 to %d\n",
                   SLICE_FMT(text), SETTINGS_WORKERS_MAX);
    }
}

// "https://host[:port]": a scheme, then no slash, blank or control character.
static bool is_origin(struct slice origin)
{
    const char *mark = memmem(origin.ptr, origin.len, "://", 3);
    if (mark == NULL || mark == origin.ptr)
        return false;
    struct slice host = slice_skip(origin, (size_t)(mark - origin.ptr) + 3);
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] <= ' ' || host.ptr[i] == '/' || host.ptr[i] == 0x7F)
            return false;
    return host.len > 0;
}

static void check_origins(const struct settings *s, struct buf *errors)
{
    struct slice rest = slice_of(s->cors_origins);
    if (slice_equal(rest, SLICE_LIT("*")))
        return;
    if (rest.len == 0)
        buf_append_str(errors, "CM_CORS_ORIGINS: empty; use * or a list of origins\n");
    while (rest.len > 0) {
        struct slice origin = slice_take(&rest, ',');
        if (!is_origin(slice_trim(origin)))
            buf_printf(errors, "CM_CORS_ORIGINS: '%.*s' is not an origin (https://host[:port])\n",
                       SLICE_FMT(origin));
    }
}

static void check_drain(const struct settings *s, struct buf *errors)
{
    if (s->drain_timeout_s > 0 && s->drain_delay_ms >= s->drain_timeout_s * 1000)
        buf_printf(errors,
                   "CM_DRAIN_DELAY_MS: %llu ms leave nothing of CM_DRAIN_TIMEOUT_S, %llu s\n",
                   (unsigned long long)s->drain_delay_ms, (unsigned long long)s->drain_timeout_s);
}

static void check_tls(const struct settings *s, struct buf *errors)
{
    if (s->tls_cert_file != NULL && s->tls_key_file == NULL)
        buf_append_str(errors, "CM_TLS_KEY_FILE: unset, but CM_TLS_CERT_FILE needs its key\n");
    if (s->tls_cert_file == NULL && s->tls_key_file != NULL)
        buf_append_str(errors, "CM_TLS_CERT_FILE: unset, but CM_TLS_KEY_FILE is set\n");
}

bool settings_load(struct settings *s, char *const *environ_, struct buf *errors)
{
    bool ok = option_load(&table, environ_, s, errors);
    size_t before = errors->len;
    check_workers(s, errors);
    ok = store_settings_check(s->redis_url, s->redis_prefix, errors) && ok;
    check_origins(s, errors);
    check_drain(s, errors);
    check_tls(s, errors);
    return ok && errors->len == before;
}

bool settings_reload_log_level(struct settings *s, char *const *environ_, struct buf *errors)
{
    return option_reload(&table, "CM_LOG_LEVEL", environ_, s, errors);
}

bool settings_has_tls(const struct settings *s)
{
    return s->tls_cert_file != NULL;
}

void settings_free(struct settings *s)
{
    option_free(&table, s);
}

void settings_print_help(FILE *out)
{
    option_print_help(&table, out);
}

void settings_print_effective(const struct settings *s, FILE *out)
{
    option_print_effective(&table, s, out);
    fprintf(out, "# CM_WORKERS means %llu here\n", (unsigned long long)s->workers);
}
