// SPDX-License-Identifier: Apache-2.0
// What a stretch of a test writes to the log.
#pragma once

#include <stddef.h>

struct uv_loop_s;

void log_capture_start(void);
// Turns the loop until word has occurred that often; fails the test like loop_run_until.
void log_capture_await(struct uv_loop_s *loop, const char *word, size_t count, unsigned ms);
// Ends it and says how often word occurs in what was written.
size_t log_capture_stop(const char *word);
