// SPDX-License-Identifier: Apache-2.0
// The first process: binds, starts the children, and waits for signals. It has
// no event loop, no thread, no Redis.
#pragma once

#include "services/settings.h"

// Runs the service until a signal ends it; what can be reloaded is changed in *s
// then. Exit status: 0 after a drain, 1 when
// it could not start (one line on the log says why), 128 + signal when a second
// signal cut the drain short.
int supervisor_run(struct settings *s);
