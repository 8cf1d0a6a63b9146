// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/option.h"
#include "tests/support/test.h"

struct settings {
    char *listen, *url, *password, *file;
    uint64_t poll;
    int log;
};

#define ROW(name_, type_, member_)                                                                 \
    .name = (name_), .type = (type_), .offset = offsetof(struct settings, member_)
static const struct option rows[] = {
    {ROW("CM_ACCESS_LOG", OPTION_CHOICE, log), .fallback = "errors", .choices = "off|errors|all",
     .help = "h"},
    {ROW("CM_ADMIN_TOKENS_FILE", OPTION_FILE, file), .flags = OPTION_REQUIRED, .help = "tokens"},
    {ROW("CM_LISTEN", OPTION_ADDRESS, listen), .fallback = "0.0.0.0:8080",
     .help = "public address"},
    {ROW("CM_POLL_MS", OPTION_UINT, poll), .fallback = "250", .min = 20, .max = 60000, .unit = "ms",
     .help = "poll"},
    {ROW("CM_REDIS_PASSWORD", OPTION_STRING, password), .flags = OPTION_SECRET, .help = "password"},
    {ROW("CM_REDIS_URL", OPTION_STRING, url), .fallback = "redis://127.0.0.1",
     .flags = OPTION_FROM_FILE, .help = "url"},
};
static const struct option_table table = {"test", "tests.", rows, CM_ARRAY_LEN(rows)};

static bool load(char **env, struct settings *s, struct buf *errors)
{
    memset(s, 0, sizeof(*s));
    buf_clear(errors);
    return option_load(&table, env, s, errors);
}

static void defaults_values_and_strangers(void **state)
{
    (void)state;
    struct settings s;
    struct buf errors = {0};
    char *env[] = {"CM_POLL_MS=20",
                   "CM_ADMIN_TOKENS_FILE=/x",
                   "CM_KEY_CACHE_MB=5", // a sister's
                   "PATH=/bin",
                   "CM_DEMO_KEY=cm-x",
                   "CM_MODELS_SERVICE_HOST=10.0.0.1",
                   "CM_MODELS_SERVICE_PORT_HTTP=1",
                   "CM_MODELS_PORT=tcp://x",
                   "CM_MODELS_PORT_80_TCP_ADDR=x",
                   NULL};
    assert_true(load(env, &s, &errors));
    assert_string_equal(s.listen, "0.0.0.0:8080");
    assert_int_equal(s.poll, 20);
    assert_int_equal(s.log, 1);
    assert_null(s.password);
    option_free(&table, &s);
    buf_fini(&errors);
}

static void all_mistakes_at_once(void **state)
{
    (void)state;
    struct settings s;
    struct buf errors = {0};
    char *env[] = {
        "CM_POLL_MS=19", "CM_LISTEN=8080",      "CM_ACCESS_LOG=some",           "CM_POL_MS=3",
        "CM_PORT_X=1",   "CM_REDIS_PASSWORD=a", "CM_REDIS_PASSWORD_FILE=/none", NULL};
    assert_false(load(env, &s, &errors));
    const char *text = buf_cstr(&errors);
    assert_non_null(strstr(text, "CM_POLL_MS: '19' is not a whole number from 20 to 60000 ms\n"));
    assert_non_null(strstr(text, "CM_LISTEN: '8080' is not host:port\n"));
    assert_non_null(strstr(text, "CM_ACCESS_LOG: 'some' is not one of off|errors|all\n"));
    assert_non_null(strstr(text, "CM_POL_MS: unknown variable; did you mean CM_POLL_MS?\n"));
    assert_non_null(strstr(text, "CM_PORT_X: unknown variable"));
    assert_non_null(strstr(text, "CM_REDIS_PASSWORD and CM_REDIS_PASSWORD_FILE are both set"));
    assert_non_null(strstr(text, "CM_ADMIN_TOKENS_FILE is required: tokens\n"));
    option_free(&table, &s);
    buf_fini(&errors);
}

static void values_from_files(void **state)
{
    (void)state;
    char path[] = "/tmp/cm-option-XXXXXX", from[128];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "secret\n", 7), 7);
    close(fd);
    snprintf(from, sizeof(from), "CM_REDIS_PASSWORD_FILE=%s", path);
    char *env[] = {from, "CM_ADMIN_TOKENS_FILE=/x", NULL};
    struct settings s;
    struct buf errors = {0};
    assert_true(load(env, &s, &errors));
    assert_string_equal(s.password, "secret");

    char *shown = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&shown, &len);
    option_print_effective(&table, &s, out);
    fclose(out);
    assert_non_null(strstr(shown, "CM_REDIS_PASSWORD=***\n"));
    assert_null(strstr(shown, "secret"));
    free(shown);
    option_free(&table, &s);

    unlink(path);
    assert_false(load(env, &s, &errors));
    assert_non_null(strstr(buf_cstr(&errors), "CM_REDIS_PASSWORD_FILE: cannot read"));
    option_free(&table, &s);
    buf_fini(&errors);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void one_value_is_read_anew(void **state)
{
    (void)state;
    struct option from_file = {ROW("CM_ACCESS_LOG", OPTION_CHOICE, log), .fallback = "errors",
                               .choices = "off|errors|all", .flags = OPTION_FROM_FILE, .help = "h"};
    struct option_table one = {"test", "tests.", &from_file, 1};
    char path[] = "/tmp/cm-option-XXXXXX", variable[64];
    close(mkstemp(path));
    snprintf(variable, sizeof(variable), "CM_ACCESS_LOG_FILE=%s", path);
    char *env[] = {variable, NULL};
    struct settings s = {0};
    struct buf errors = {0};
    write_text(path, "off\n");
    assert_true(option_load(&one, env, &s, &errors));
    assert_int_equal(s.log, 0);
    write_text(path, "all");
    assert_true(option_reload(&one, "CM_ACCESS_LOG", env, &s, &errors));
    assert_int_equal(s.log, 2);
    write_text(path, "everything");
    assert_false(option_reload(&one, "CM_ACCESS_LOG", env, &s, &errors));
    assert_non_null(strstr(buf_cstr(&errors), "'everything' is not one of off|errors|all"));
    unlink(path);
    assert_false(option_reload(&one, "CM_ACCESS_LOG", env, &s, &errors));
    assert_non_null(strstr(buf_cstr(&errors), "CM_ACCESS_LOG_FILE: cannot read"));
    assert_int_equal(s.log, 2); // as it was
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_values_and_strangers),
        cmocka_unit_test(all_mistakes_at_once),
        cmocka_unit_test(values_from_files),
        cmocka_unit_test(one_value_is_read_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
