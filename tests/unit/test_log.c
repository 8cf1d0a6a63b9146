// SPDX-License-Identifier: Apache-2.0
// Lines are whole JSON whatever they carry, and a full pipe costs lines, not time.
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/support/test.h"

static int saved, ends[2];

static int capture(void **state)
{
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    saved = dup(2);
    dup2(ends[1], 2);
    log_init("test", "unit");
    dup2(saved, 2); // log keeps its own description of the pipe
    return 0;
}

static int release(void **state)
{
    (void)state;
    close(saved);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void line_is_json(void **state)
{
    (void)state;
    char text[8192], big[6000];
    memset(big, 'x', sizeof(big));
    struct slice long_text = slice_make(big, sizeof(big));
    LOG_INFO("something", LOG_CSTR("quote", "a\"b\\c\n\x01"),
             LOG_STR("bad", SLICE_LIT("\xff\xc3\xa9")), LOG_I64("n", -5), LOG_U64("u", 1),
             LOG_BOOL("yes", true), LOG_STR("big", long_text), LOG_STR("big2", long_text),
             LOG_STR("big3", long_text), LOG_STR("big4", long_text));
    ssize_t len = read(ends[0], text, sizeof(text));
    assert_in_range(len, 100, 4096);
    assert_int_equal(text[len - 1], '\n');
    json_t *doc = json_loadb(text, (size_t)len - 1, 0, NULL);
    assert_non_null(doc);
    assert_string_equal(json_string_value(json_object_get(doc, "event")), "something");
    assert_string_equal(json_string_value(json_object_get(doc, "quote")), "a\"b\\c\n\x01");
    assert_string_equal(json_string_value(json_object_get(doc, "bad")), "\xef\xbf\xbd\xc3\xa9");
    assert_int_equal(json_integer_value(json_object_get(doc, "n")), -5);
    assert_true(json_is_true(json_object_get(doc, "yes")));
    json_decref(doc);
}

static void levels_filter(void **state)
{
    (void)state;
    char text[64];
    LOG_DEBUG("hidden", LOG_NONE);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    assert_int_equal(read(ends[0], text, sizeof(text)), -1);
}

static void full_pipe_never_blocks(void **state)
{
    (void)state;
    uint64_t start = clock_boot_ms();
    for (int i = 0; i < 20000; i++)
        LOG_WARN("flood", LOG_I64("i", i));
    assert_true(clock_boot_ms() - start < 10000);
    assert_true(log_dropped() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_json),
        cmocka_unit_test(levels_filter),
        cmocka_unit_test(full_pipe_never_blocks),
    };
    return cmocka_run_group_tests(tests, capture, release);
}
