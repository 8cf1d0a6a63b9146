// SPDX-License-Identifier: Apache-2.0
#include "common/base/buf.h"

#include <stdlib.h>

#include "tests/support/test.h"

static void keep_gives_the_memory_away(void **state)
{
    struct buf b = {0};
    (void)state;
    buf_append_str(&b, "abc");
    struct slice kept = buf_keep(&b);
    assert_slice(kept, "abc");
    assert_null(b.ptr);
    assert_int_equal(b.cap, 0);
    free((void *)kept.ptr);

    buf_reserve(&b, 10); // memory but no content
    kept = buf_keep(&b);
    assert_null(kept.ptr);
    assert_int_equal(kept.len, 0);
    assert_null(b.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keep_gives_the_memory_away)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
