// SPDX-License-Identifier: Apache-2.0
// The certificate and the ticket keys that supervisor and workers share.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "services/tls_vault.h"
#include "tests/support/test.h"

static struct {
    int fd;
    struct tls_vault *vault, *seen; // the supervisor's view and a worker's
    struct tls_vault_content *content;
} t;

static int start(void **state)
{
    (void)state;
    t.vault = tls_vault_create(&t.fd);
    assert_non_null(t.vault);
    t.seen = tls_vault_attach(t.fd);
    assert_non_null(t.seen);
    t.content = xmalloc(sizeof(*t.content));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tls_vault_detach(t.vault);
    tls_vault_detach(t.seen);
    close(t.fd);
    free(t.content);
    return 0;
}

static void test_what_is_put_is_read(void **state)
{
    (void)state;
    assert_int_equal(tls_vault_read(t.seen, t.content), tls_vault_version(t.vault));
    assert_int_equal(t.content->certificate_number, 0);
    for (unsigned i = 1; i <= 3; i++) {
        char text[16];
        snprintf(text, sizeof(text), "text %u", i);
        uint64_t before = tls_vault_version(t.seen);
        tls_vault_put(t.vault, slice_of(text), slice_make(text, 4));
        assert_int_not_equal(tls_vault_version(t.seen), before);
        assert_int_equal(tls_vault_read(t.seen, t.content), tls_vault_version(t.vault));
        assert_int_equal(t.content->certificate_number, i);
        assert_int_equal(t.content->certificate_len, 6);
        assert_memory_equal(t.content->certificate, text, 6);
        assert_int_equal(t.content->key_len, 4);
        assert_memory_equal(t.content->key, "text", 4);
    }
}

static void test_rotation_moves_keys_on_and_keeps_the_certificate(void **state)
{
    (void)state;
    tls_vault_put(t.vault, SLICE_LIT("certificate"), SLICE_LIT("key"));
    tls_vault_read(t.seen, t.content);
    for (int i = 0; i < 5; i++) {
        struct tls_ticket_keys was = t.content->tickets;
        tls_vault_rotate(t.vault);
        tls_vault_read(t.seen, t.content);
        const struct tls_ticket_key *is = t.content->tickets.key;
        for (int at = TLS_TICKET_NOW; at < TLS_TICKET_KEYS; at++)
            assert_memory_equal(&is[at], &was.key[at - 1], sizeof(is[at]));
        for (int at = 0; at < TLS_TICKET_KEYS; at++)
            assert_memory_not_equal(&is[TLS_TICKET_NEXT], &was.key[at], sizeof(is[0]));
        assert_int_equal(t.content->certificate_number, 1);
        assert_memory_equal(t.content->certificate, "certificate", 11);
    }
}

static void test_a_replaced_key_leaves_memory(void **state)
{
    (void)state;
    static const char secret[] = "very secret key";
    tls_vault_put(t.vault, SLICE_LIT("c"), slice_of(secret));
    assert_non_null(memmem(t.seen, tls_vault_size(), secret, strlen(secret)));
    tls_vault_put(t.vault, SLICE_LIT("c"), SLICE_LIT("next"));
    assert_null(memmem(t.seen, tls_vault_size(), secret, strlen(secret)));
}

static void test_attach_refuses_other_files(void **state)
{
    (void)state;
    int fd = memfd_create("x", MFD_CLOEXEC);
    assert_null(tls_vault_attach(fd));
    close(fd);
    assert_null(tls_vault_attach(fd));
}

enum { CHANGES = 3000 };
static _Atomic bool done;

// Certificates whose every byte is the same, of a length that says which.
static void *change_often(void *ctx)
{
    static char text[1000 + 26];
    for (unsigned i = 0; i < CHANGES; i++) {
        size_t len = 1000 + i % 26;
        memset(text, 'a' + (int)(i % 26), len);
        tls_vault_put(ctx, slice_make(text, len), slice_make(text, len));
    }
    done = true;
    return NULL;
}

static void test_a_content_is_whole_whenever_it_is_read(void **state)
{
    (void)state;
    pthread_t writer;
    done = false;
    assert_int_equal(pthread_create(&writer, NULL, change_often, t.vault), 0);
    while (!done) {
        tls_vault_read(t.seen, t.content);
        size_t len = t.content->certificate_len;
        if (t.content->certificate_number == 0)
            continue;
        char want = (char)('a' + (len - 1000));
        assert_int_equal(t.content->key_len, len);
        for (size_t i = 0; i < len; i++)
            if (t.content->certificate[i] != want || t.content->key[i] != want)
                fail_msg("torn at byte %zu", i);
    }
    pthread_join(writer, NULL);
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_put_is_read),
        CASE(test_rotation_moves_keys_on_and_keeps_the_certificate),
        CASE(test_a_replaced_key_leaves_memory),
        CASE(test_attach_refuses_other_files),
        CASE(test_a_content_is_whole_whenever_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
