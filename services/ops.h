// SPDX-License-Identifier: Apache-2.0
// The ops child: /livez, /readyz and /metrics of the whole service, read from
// the shared mapping, on a listener of its own.
#pragma once

#include "services/settings.h"
#include "services/shm.h"

struct ops_start {
    const struct settings *settings;
    struct shm *shm;
    struct shm_block *block; // its own
    int listener;
};

// Serves until HERITAGE_DISMISS. Returns the exit status.
int ops_run(const struct ops_start *start);
