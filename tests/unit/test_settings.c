// SPDX-License-Identifier: Apache-2.0
// What cm-models takes from its environment, and what it refuses.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/settings.h"
#include "tests/support/test.h"

static struct settings loaded;
static struct buf mistakes;

// Loads from the given variables, up to NULL.
static bool load(const char *first, ...)
{
    const char *env[16] = {first};
    va_list rest;
    va_start(rest, first);
    for (size_t n = 0; env[n] != NULL; n++)
        env[n + 1] = va_arg(rest, const char *);
    va_end(rest);
    memset(&loaded, 0, sizeof(loaded));
    buf_clear(&mistakes);
    return settings_load(&loaded, (char *const *)(uintptr_t)env, &mistakes);
}

static void expect_refused(const char *variable, const char *what)
{
    assert_false(load(variable, NULL));
    if (strstr(buf_cstr(&mistakes), what) == NULL)
        fail_msg("'%s' is not in '%s'", what, buf_cstr(&mistakes));
    settings_free(&loaded);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_true(load(NULL));
    assert_string_equal(loaded.listen, "0.0.0.0:8080");
    assert_string_equal(loaded.ops_listen, "127.0.0.1:9090");
    assert_string_equal(loaded.redis_url, "redis://127.0.0.1:6379");
    assert_null(loaded.redis_password);
    assert_string_equal(loaded.redis_prefix, "cm");
    assert_string_equal(loaded.cors_origins, "*");
    assert_in_range(loaded.workers, 1, SETTINGS_WORKERS_MAX);
    assert_int_equal(loaded.key_cache_mb, 64);
    assert_int_equal(loaded.max_connections, 10000);
    assert_int_equal(loaded.poll_ms, 250);
    assert_int_equal(loaded.max_stale_s, 3600);
    assert_int_equal(loaded.repair_wait_ms, 3000);
    assert_int_equal(loaded.drain_delay_ms, 0);
    assert_int_equal(loaded.drain_timeout_s, 20);
    assert_int_equal(loaded.idle_timeout_s, 75);
    assert_int_equal(loaded.log_level, LOG_LEVEL_INFO);
    assert_int_equal(loaded.access_log, ACCESS_LOG_ERRORS);
    assert_int_equal(loaded.key_checksum, 0);
    settings_free(&loaded);
}

static void test_given_values(void **state)
{
    (void)state;
    assert_true(load("CM_WORKERS=7", "CM_LOG_LEVEL=error", "CM_ACCESS_LOG=all",
                     "CM_KEY_CHECKSUM=on", "CM_MAX_STALE_S=0", "CM_REDIS_PASSWORD=s3cret",
                     "CM_CORS_ORIGINS=https://a.example, http://b.example:8080",
                     "CM_REDIS_URL=unix:///run/redis.sock", NULL));
    assert_int_equal(loaded.workers, 7);
    assert_int_equal(loaded.log_level, LOG_LEVEL_ERROR);
    assert_int_equal(loaded.access_log, ACCESS_LOG_ALL);
    assert_int_equal(loaded.key_checksum, 1);
    assert_int_equal(loaded.max_stale_s, 0);
    assert_string_equal(loaded.redis_password, "s3cret");
    settings_free(&loaded);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refused("CM_WORKERS=0", "CM_WORKERS: '0'");
    expect_refused("CM_WORKERS=257", "from 1 to 256");
    expect_refused("CM_WORKERS=many", "neither auto");
    expect_refused("CM_WORKERS=", "CM_WORKERS");
    expect_refused("CM_REDIS_URL=rediss://h", "CM_REDIS_URL: ");
    expect_refused("CM_REDIS_PREFIX=", "CM_REDIS_PREFIX");
    expect_refused("CM_REDIS_PREFIX={x}", "CM_REDIS_PREFIX");
    expect_refused("CM_CORS_ORIGINS=", "CM_CORS_ORIGINS");
    expect_refused("CM_CORS_ORIGINS=example.com", "CM_CORS_ORIGINS: 'example.com'");
    expect_refused("CM_CORS_ORIGINS=https://a.example/", "CM_CORS_ORIGINS");
    expect_refused("CM_CORS_ORIGINS=https://a.example,,https://b.example", "CM_CORS_ORIGINS");
    expect_refused("CM_CORS_ORIGINS=https://", "CM_CORS_ORIGINS");
    expect_refused("CM_DRAIN_DELAY_MS=20000", "CM_DRAIN_DELAY_MS");
    expect_refused("CM_DRAIN_TIMEOUT_S=0", "CM_DRAIN_TIMEOUT_S");
    expect_refused("CM_POLL_MS=19", "CM_POLL_MS");
    expect_refused("CM_LISTN=x", "CM_LISTEN");
}

static void test_tls_needs_both_files(void **state)
{
    (void)state;
    assert_true(load(NULL));
    assert_false(settings_has_tls(&loaded));
    assert_string_equal(loaded.tls_listen, "0.0.0.0:8443");
    settings_free(&loaded);
    assert_true(load("CM_TLS_CERT_FILE=/c", "CM_TLS_KEY_FILE=/k", "CM_TLS_LISTEN=[::]:1", NULL));
    assert_true(settings_has_tls(&loaded));
    assert_string_equal(loaded.tls_cert_file, "/c");
    assert_string_equal(loaded.tls_key_file, "/k");
    assert_string_equal(loaded.tls_listen, "[::]:1");
    settings_free(&loaded);
    expect_refused("CM_TLS_CERT_FILE=/c", "CM_TLS_KEY_FILE: unset");
    expect_refused("CM_TLS_KEY_FILE=/k", "CM_TLS_CERT_FILE: unset");
    expect_refused("CM_TLS_LISTEN=8443", "CM_TLS_LISTEN: '8443'");
}

static void test_all_mistakes_at_once(void **state)
{
    (void)state;
    assert_false(load("CM_WORKERS=x", "CM_POLL_MS=1", "CM_REDIS_PREFIX= ", NULL));
    const char *text = buf_cstr(&mistakes);
    assert_non_null(strstr(text, "CM_WORKERS"));
    assert_non_null(strstr(text, "CM_POLL_MS"));
    assert_non_null(strstr(text, "CM_REDIS_PREFIX"));
    settings_free(&loaded);
}

// One name a line, sorted; what is not set says so.
static void test_help(void **state)
{
    (void)state;
    char *text = NULL, last[64] = "", name[64];
    size_t len = 0;
    unsigned count = 0;
    FILE *out = open_memstream(&text, &len);
    settings_print_help(out);
    fclose(out);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "  CM_%60s", name) != 1)
            continue;
        assert_true(strcmp(last, name) < 0);
        strcpy(last, name);
        count++;
    }
    assert_true(count > 20);
    assert_null(strstr(text, "()"));
    assert_non_null(strstr(text, "to start without Redis (unset)\n"));
    free(text);
}

static void test_effective_hides_secrets(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    assert_true(load("CM_REDIS_PASSWORD=s3cret", "CM_REDIS_URL=redis://u:s3cret@h:1",
                     "CM_WORKERS=auto", NULL));
    FILE *out = open_memstream(&text, &len);
    settings_print_effective(&loaded, out);
    fclose(out);
    assert_null(strstr(text, "s3cret"));
    assert_non_null(strstr(text, "CM_REDIS_PASSWORD=***\n"));
    assert_non_null(strstr(text, "CM_WORKERS=auto\n"));
    assert_non_null(strstr(text, "CM_LISTEN=0.0.0.0:8080\n"));
    free(text);
    settings_free(&loaded);
    buf_fini(&mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_given_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_tls_needs_both_files),
        cmocka_unit_test(test_all_mistakes_at_once),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_effective_hides_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
