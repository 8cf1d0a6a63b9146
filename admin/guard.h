// SPDX-License-Identifier: Apache-2.0
// May this store be read, may it be written? It must hold the history that we
// know, in a format that we know.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/problem.h"
#include "admin/roster.h"
#include "common/model/head.h"

struct guard {
    const struct roster *roster;
    uint64_t epoch;   // of the history that this process has seen; 0 = none yet
    bool policy_good; // maxmemory-policy is noeviction
};

// ok: the store answered. False with *problem set (store_unavailable or
// store_suspect). A good head makes its history the known one; for writing it
// must also be the known one, or continue it.
CM_MUST_CHECK bool guard_read(struct guard *g, bool ok, enum head_status status,
                              const struct head *head, struct problem *problem);
CM_MUST_CHECK bool guard_write(struct guard *g, bool ok, enum head_status status,
                               const struct head *head, struct problem *problem);
