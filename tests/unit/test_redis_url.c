// SPDX-License-Identifier: Apache-2.0
#include "common/store/redis_url.h"

#include <string.h>

#include "tests/support/test.h"

static struct redis_url parse(const char *text)
{
    struct redis_url url;
    char error[REDIS_URL_ERROR_MAX];
    if (!redis_url_parse(slice_of(text), &url, error))
        fail_msg("%s: %s", text, error);
    return url;
}

static void the_parts_are_found(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://db.example");
    assert_string_equal(url.host, "db.example");
    assert_int_equal(url.port, 6379);
    assert_int_equal(url.database, 0);
    assert_null(url.user);
    assert_null(url.password);
    assert_null(url.path);
    redis_url_fini(&url);
    assert_null(url.host);

    url = parse("redis://cm%2Dmodels:p%40ss%3Aw%2Frd@10.0.0.1:7000/12");
    assert_string_equal(url.user, "cm-models");
    assert_string_equal(url.password, "p@ss:w/rd");
    assert_string_equal(url.host, "10.0.0.1");
    assert_int_equal(url.port, 7000);
    assert_int_equal(url.database, 12);
    redis_url_fini(&url);

    url = parse("redis://:only:password@host/");
    assert_null(url.user);
    assert_string_equal(url.password, "only:password");
    assert_int_equal(url.database, 0);
    redis_url_fini(&url);

    url = parse("redis://user@host");
    assert_string_equal(url.user, "user");
    assert_null(url.password);
    redis_url_fini(&url);

    url = parse("redis://u:p@ss@host");
    assert_string_equal(url.password, "p@ss");
    redis_url_fini(&url);
}

static void v6_and_unix(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://[::1]");
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 6379);
    redis_url_fini(&url);
    url = parse("redis://[fe80::1%eth0]:6380/1");
    assert_string_equal(url.host, "fe80::1%eth0");
    assert_int_equal(url.port, 6380);
    assert_int_equal(url.database, 1);
    redis_url_fini(&url);
    url = parse("unix:///run/redis/redis.sock");
    assert_string_equal(url.path, "/run/redis/redis.sock");
    assert_null(url.host);
    redis_url_fini(&url);
}

static void sentinels(void **state)
{
    (void)state;
    struct redis_url url = parse("redis+sentinel://s1.example:26380,s2,[::1]:1/my-master");
    assert_int_equal(url.sentinel_count, 3);
    assert_string_equal(url.sentinels[0].host, "s1.example");
    assert_int_equal(url.sentinels[0].port, 26380);
    assert_string_equal(url.sentinels[1].host, "s2");
    assert_int_equal(url.sentinels[1].port, 26379);
    assert_string_equal(url.sentinels[2].host, "::1");
    assert_int_equal(url.sentinels[2].port, 1);
    assert_string_equal(url.service, "my-master");
    assert_null(url.host); // it is asked for
    assert_null(url.user);
    assert_int_equal(url.database, 0);
    redis_url_fini(&url);
    url = parse("redis+sentinel://me:a%2Fb,c@s1/m/3");
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "a/b,c");
    assert_int_equal(url.sentinel_count, 1);
    assert_int_equal(url.database, 3);
    redis_url_fini(&url);
    url = parse("redis+sentinel://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p/m");
    assert_int_equal(url.sentinel_count, REDIS_SENTINELS_MAX);
    redis_url_fini(&url);
}

static void what_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "redis:",
        "localhost:6379",
        "http://host",
        "REDIS://host",
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://host:",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:+1",
        "redis://host:6379x",
        "redis://host/x",
        "redis://host/-1",
        "redis://host/0/1",
        "redis://host/0?a=b",
        "redis://host/4294967296",
        "redis://ho st",
        "redis://host,other",
        "redis://[::1",
        "redis://[::1]6379",
        "redis://[]",
        "redis://[host-x]",
        "redis+sentinel://",
        "redis+sentinel://a",
        "redis+sentinel://a,b",
        "redis+sentinel://a,b/",
        "redis+sentinel://a,/m",
        "redis+sentinel://,a/m",
        "redis+sentinel://a,b:0/m",
        "redis+sentinel://a:1,b:2,a:1/m",
        "redis+sentinel://a,a:26379/m",
        "redis+sentinel://a/m/x",
        "redis+sentinel://a/m/0/1",
        "redis+sentinel://a/my master",
        "redis+sentinel://a/m?db=1",
        "redis+sentinel://u:%zz@a/m",
        "redis+sentinel://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/m", // 17
        "redis://user:%zz@host",
        "redis://user:%4@host",
        "redis://user:%00@host",
        "redis://%00@host",
        "unix://relative",
        "unix:///",
        "unix:///0123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567890123456789012345678901234567890",
    };
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        struct redis_url url = {.port = 7};
        char error[REDIS_URL_ERROR_MAX] = "";
        if (redis_url_parse(slice_of(bad[i]), &url, error))
            fail_msg("accepted: %s", bad[i]);
        assert_true(strlen(error) > 10);
        assert_int_equal(url.port, 7);
        assert_null(url.host);
    }
}

static void other_schemes_say_how(void **state)
{
    struct redis_url url;
    char error[REDIS_URL_ERROR_MAX];
    (void)state;
    assert_false(redis_url_parse(SLICE_LIT("rediss://host"), &url, error));
    assert_non_null(strstr(error, "TLS tunnel"));
    assert_non_null(strstr(error, "deploy/redis/tls"));
    assert_false(redis_url_parse(SLICE_LIT("redis+sentinel://a,b"), &url, error));
    assert_non_null(strstr(error, "/mymaster"));
    assert_false(redis_url_parse(SLICE_LIT("redis+sentinel://a,a/m"), &url, error));
    assert_non_null(strstr(error, "twice"));
}

static void no_error_repeats_the_password(void **state)
{
    static const char *const bad[] = {
        "redis://u:hunter2@",           "rediss://u:hunter2@host",
        "redis+sentinel://u:hunter2@a", "redis+sentinel://u:hunter2@a,a/m",
        "redis://u:hunter2@host:99999", "redis://u:hunter2%@host"};
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        struct redis_url url;
        char error[REDIS_URL_ERROR_MAX];
        assert_false(redis_url_parse(slice_of(bad[i]), &url, error));
        assert_null(strstr(error, "hunter2"));
    }
}

static void the_password_can_be_set(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://user:old@host");
    redis_url_set_password(&url, SLICE_LIT("new"));
    assert_string_equal(url.password, "new");
    redis_url_set_password(&url, SLICE_NONE);
    assert_null(url.password);
    redis_url_fini(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_are_found),
        cmocka_unit_test(v6_and_unix),
        cmocka_unit_test(sentinels),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(other_schemes_say_how),
        cmocka_unit_test(no_error_repeats_the_password),
        cmocka_unit_test(the_password_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
