// SPDX-License-Identifier: Apache-2.0
// The admin process: everything wired together on one loop.
#pragma once

#include "admin/settings.h"

// Serves until SIGTERM or SIGINT, then drains. Returns the exit status.
int service_run(const struct admin_settings *settings);
