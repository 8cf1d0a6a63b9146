// SPDX-License-Identifier: Apache-2.0
// Lines go to descriptor 2 unless log_init was called, so that is what is turned.
#include "tests/support/log_capture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int saved_stderr;
static FILE *log_file;

void log_capture_start(void)
{
    log_file = tmpfile();
    fflush(stderr);
    saved_stderr = dup(2);
    dup2(fileno(log_file), 2);
}

size_t log_capture_stop(const char *word)
{
    static char text[65536];
    dup2(saved_stderr, 2);
    close(saved_stderr);
    rewind(log_file);
    size_t len = fread(text, 1, sizeof(text) - 1, log_file), count = 0;
    text[len] = '\0';
    fclose(log_file);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}
