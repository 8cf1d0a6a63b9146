// SPDX-License-Identifier: Apache-2.0
// Quotas of nested cgroups, in a directory made to look like one.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/cpus.h"
#include "tests/support/test.h"

static void put(const char *root, const char *dir, const char *text)
{
    char name[256];
    snprintf(name, sizeof(name), "%s%s/cpu.max", root, dir);
    if (text == NULL) {
        unlink(name);
        return;
    }
    FILE *f = fopen(name, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_quota(void **state)
{
    (void)state;
    char root[] = "/tmp/cm-test-cpus-XXXXXX", a[64], b[64];
    assert_non_null(mkdtemp(root));
    snprintf(a, sizeof(a), "%s/a", root);
    snprintf(b, sizeof(b), "%s/a/b", root);
    assert_int_equal(mkdir(a, 0700), 0);
    assert_int_equal(mkdir(b, 0700), 0);
    assert_int_equal(cpus_quota(root, "/a/b"), 0);
    assert_int_equal(cpus_quota(root, "/not/there"), 0);
    put(root, "/a/b", "max 100000\n");
    assert_int_equal(cpus_quota(root, "/a/b"), 0);
    put(root, "/a/b", "400000 100000\n");
    assert_int_equal(cpus_quota(root, "/a/b"), 4);
    put(root, "/a", "150000 100000\n"); // an ancestor binds too; halves round up
    assert_int_equal(cpus_quota(root, "/a/b"), 2);
    put(root, "", "10000 100000\n"); // a container sees its own quota at the root
    assert_int_equal(cpus_quota(root, "/a/b"), 1);
    assert_int_equal(cpus_quota(root, "/"), 1);
    put(root, "", "garbage\n");
    assert_int_equal(cpus_quota(root, "/a/b"), 2);
    put(root, "", NULL);
    put(root, "/a", NULL);
    put(root, "/a/b", NULL);
    rmdir(b);
    rmdir(a);
    rmdir(root);
}

static void test_allowed(void **state)
{
    (void)state;
    unsigned allowed = cpus_allowed();
    assert_in_range(allowed, 1, (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
