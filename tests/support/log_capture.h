// SPDX-License-Identifier: Apache-2.0
// What a stretch of a test writes to the log.
#pragma once

#include <stddef.h>

void log_capture_start(void);
// Ends it and says how often word occurs in what was written.
size_t log_capture_stop(const char *word);
