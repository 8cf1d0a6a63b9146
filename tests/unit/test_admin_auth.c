// SPDX-License-Identifier: Apache-2.0
// Tokens are read whole or not at all; guessing is limited, knowing is not.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/auth.h"
#include "tests/support/test.h"

static void hash_of(const char *secret, char out[SECRET_HEX_LEN + 1])
{
    struct secret_digest digest;
    secret_hash(slice_of(secret), &digest);
    secret_digest_hex(&digest, out);
}

static void tokens_of_a_good_file(void **state)
{
    (void)state;
    char ci[SECRET_HEX_LEN + 1], look[SECRET_HEX_LEN + 1];
    struct buf text = {.len = 0}, errors = {.len = 0};
    struct tokens t = {.count = 0};
    hash_of("one", ci);
    hash_of("two", look);
    buf_printf(&text, "# tokens\r\n\n  ci\teditor   sha256:%s  \r\nlook.er@x viewer sha256:%s", ci,
               look);
    assert_true(tokens_parse(buf_slice(&text), &t, &errors));
    assert_int_equal(t.count, 2);
    assert_string_equal(tokens_find(&t, SLICE_LIT("one"))->name, "ci");
    assert_int_equal(tokens_find(&t, SLICE_LIT("one"))->role, ROLE_EDITOR);
    assert_string_equal(tokens_find(&t, SLICE_LIT("two"))->name, "look.er@x");
    assert_int_equal(tokens_find(&t, SLICE_LIT("two"))->role, ROLE_VIEWER);
    assert_null(tokens_find(&t, SLICE_LIT("three")));
    assert_null(tokens_find(&t, SLICE_NONE));
    tokens_fini(&t);
    buf_fini(&text);
    buf_fini(&errors);
}

static void bad_lines_are_refused_and_never_repeated(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "# only a comment\n",
        "secretsecret",
        "ci editor",
        "ci editor sha256:",
        "ci editor sha256:abc",
        "ci admin sha256:%s",
        "ci editor md5:%s",
        "ci editor sha256:%s more",
        "c/i editor sha256:%s",
        "ci editor sha256:%s\nci viewer sha256:"
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ci editor sha256:%s\ncj viewer sha256:%s",
        "ok editor sha256:%s\nbroken",
    };
    char hex[SECRET_HEX_LEN + 1];
    hash_of("secretsecret", hex);
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++) {
        struct buf text = {.len = 0}, errors = {.len = 0};
        struct tokens t = {.count = 77};
        for (const char *at = bad[i]; *at != '\0'; at++) {
            if (at[0] == '%') {
                buf_append_str(&text, hex);
                at++;
            } else {
                buf_append_char(&text, *at);
            }
        }
        assert_false(tokens_parse(buf_slice(&text), &t, &errors));
        assert_int_equal(t.count, 77);
        assert_true(errors.len > 0);
        assert_null(strstr(buf_cstr(&errors), "secretsecret"));
        assert_null(strstr(buf_cstr(&errors), hex));
        buf_fini(&text);
        buf_fini(&errors);
    }
}

struct fixture {
    char path[64];
    struct auth *auth;
};

static void write_file(const char *path, const char *name, const char *secret)
{
    char hex[SECRET_HEX_LEN + 1];
    FILE *file = fopen(path, "w");
    hash_of(secret, hex);
    fprintf(file, "%s editor sha256:%s\n", name, hex);
    fclose(file);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct buf errors = {.len = 0};
    strcpy(f->path, "/tmp/cm-test-XXXXXX");
    close(mkstemp(f->path));
    write_file(f->path, "ci", "right");
    f->auth = auth_create(f->path, &errors);
    assert_non_null(f->auth);
    buf_fini(&errors);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    auth_destroy(f->auth);
    unlink(f->path);
    free(f);
    return 0;
}

static enum auth_result check(struct fixture *f, const char *header, const char *address,
                              uint64_t now_ms)
{
    const struct token *who = NULL;
    struct slice value = header == NULL ? SLICE_NONE : slice_of(header);
    enum auth_result result = auth_check(f->auth, value, slice_of(address), now_ms, &who);
    if (result == AUTH_OK)
        assert_string_equal(who->name, "ci");
    return result;
}

static void headers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(check(f, "Bearer right", "a", 1), AUTH_OK);
    assert_int_equal(check(f, "bEARER   right ", "a", 1), AUTH_OK);
    static const char *const missing[] = {NULL,          "",           "Bearer", "Bearer ", "right",
                                          "Basic right", "Bearerright"};
    for (size_t i = 0; i < CM_ARRAY_LEN(missing); i++)
        for (int n = 0; n < 20; n++)
            assert_int_equal(check(f, missing[i], "a", 1), AUTH_MISSING);
    assert_int_equal(check(f, "Bearer right right", "a", 1), AUTH_WRONG);
    char huge[2000] = "Bearer ";
    memset(huge + 7, 'x', sizeof(huge) - 8);
    assert_int_equal(check(f, huge, "a", 1), AUTH_WRONG);
}

static void ten_wrong_ones_a_minute(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < AUTH_WRONG_PER_MINUTE; i++)
        assert_int_equal(check(f, "Bearer wrong", "1.1.1.1", 1000), AUTH_WRONG);
    assert_int_equal(check(f, "Bearer wrong", "1.1.1.1", 1000), AUTH_LIMITED);
    assert_int_equal(check(f, "Bearer wrong", "1.1.1.1", 60999), AUTH_LIMITED);
    assert_int_equal(check(f, "Bearer right", "1.1.1.1", 2000), AUTH_OK);
    assert_int_equal(check(f, NULL, "1.1.1.1", 2000), AUTH_MISSING);
    assert_int_equal(check(f, "Bearer wrong", "1.1.1.2", 2000), AUTH_WRONG);
    assert_int_equal(check(f, "Bearer wrong", "1.1.1.1", 61000), AUTH_WRONG);
}

// A flood of addresses takes the oldest places; the newest keep theirs.
static void addresses_are_bounded(void **state)
{
    struct fixture *f = *state;
    char address[32];
    for (int i = 0; i < 3 * AUTH_ADDRESSES_MAX; i++) {
        snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
        assert_int_equal(check(f, "Bearer wrong", address, (uint64_t)i + 1), AUTH_WRONG);
    }
    for (int i = 1; i < AUTH_WRONG_PER_MINUTE; i++)
        assert_int_equal(check(f, "Bearer wrong", address, 4000), AUTH_WRONG);
    assert_int_equal(check(f, "Bearer wrong", address, 4000), AUTH_LIMITED);
}

static void reload_keeps_the_old_set_on_error(void **state)
{
    struct fixture *f = *state;
    struct buf errors = {.len = 0};
    FILE *file = fopen(f->path, "w");
    fputs("broken\n", file);
    fclose(file);
    assert_false(auth_reload(f->auth, &errors));
    assert_int_equal(check(f, "Bearer right", "a", 1), AUTH_OK);
    write_file(f->path, "ci", "new");
    assert_true(auth_reload(f->auth, &errors));
    assert_int_equal(check(f, "Bearer right", "a", 1), AUTH_WRONG);
    assert_int_equal(check(f, "Bearer new", "a", 1), AUTH_OK);
    assert_int_equal(auth_tokens(f->auth), 1);
    unlink(f->path);
    assert_false(auth_reload(f->auth, &errors));
    assert_int_equal(check(f, "Bearer new", "a", 1), AUTH_OK);
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_a_good_file),
        cmocka_unit_test(bad_lines_are_refused_and_never_repeated),
        cmocka_unit_test_setup_teardown(headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ten_wrong_ones_a_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reload_keeps_the_old_set_on_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
