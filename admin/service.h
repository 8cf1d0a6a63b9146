// SPDX-License-Identifier: Apache-2.0
// The admin process: everything wired together on one loop.
#pragma once

#include "admin/settings.h"

// Serves until SIGTERM or SIGINT, then drains; what SIGHUP reloads is changed in
// *settings. Returns the exit status.
int service_run(struct admin_settings *settings);
