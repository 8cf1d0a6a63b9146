// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

char temp_dir[TEMP_PATH_MAX];

int temp_dir_setup(void **state)
{
    (void)state;
    const char *under = getenv("TMPDIR");
    snprintf(temp_dir, sizeof(temp_dir), "%s/cm-test-XXXXXX", under != NULL ? under : "/tmp");
    assert_non_null(mkdtemp(temp_dir));
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int temp_dir_teardown(void **state)
{
    (void)state;
    return nftw(temp_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *temp_path(const char *name)
{
    static char path[2 * TEMP_PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", temp_dir, name);
    return path;
}
