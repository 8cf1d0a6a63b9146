// SPDX-License-Identifier: Apache-2.0
// The admin process: everything wired together on one loop.
#pragma once

#include <stdbool.h>

#include "admin/settings.h"

// What the option table cannot check: the Redis URL, the prefix, the tokens file.
// A line for each mistake in errors.
CM_MUST_CHECK bool service_check(const struct admin_settings *settings, struct buf *errors);
// Serves until SIGTERM or SIGINT, then drains. Returns the exit status. settings
// passed service_check.
int service_run(const struct admin_settings *settings);
