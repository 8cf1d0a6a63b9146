// SPDX-License-Identifier: Apache-2.0
// Lines go to descriptor 2 unless log_init was called, so that is what is turned.
#include "tests/support/log_capture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

static int saved_stderr;
static FILE *log_file;

void log_capture_start(void)
{
    log_file = tmpfile();
    fflush(stderr);
    saved_stderr = dup(2);
    dup2(fileno(log_file), 2);
}

// The file's offset belongs to whoever writes.
static size_t count_now(const char *word)
{
    static char text[65536];
    ssize_t len = pread(fileno(log_file), text, sizeof(text) - 1, 0);
    size_t count = 0;
    assert_true(len >= 0);
    text[len] = '\0';
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

size_t log_capture_stop(const char *word)
{
    dup2(saved_stderr, 2);
    close(saved_stderr);
    size_t count = count_now(word);
    fclose(log_file);
    return count;
}

struct awaited {
    const char *word;
    size_t count;
};

static bool is_said(void *ctx)
{
    const struct awaited *a = ctx;
    return count_now(a->word) >= a->count;
}

void log_capture_await(struct uv_loop_s *loop, const char *word, size_t count, unsigned ms)
{
    struct awaited a = {word, count};
    if (loop_try_until(loop, is_said, &a, ms))
        return;
    size_t said = log_capture_stop(word); // what fails must be seen
    fail_msg("'%s' was said %zu times, want %zu", word, said, count);
}
