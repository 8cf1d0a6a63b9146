// SPDX-License-Identifier: Apache-2.0
// What INFO replication says (https://redis.io/docs/latest/commands/info/): the
// role, and who follows a master how closely.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"

// A replica acknowledges every second; one that was heard no longer ago than this
// counts as good.
enum { REPLICATION_LAG_MAX_S = 2 };

struct replication {
    bool master;
    uint64_t offset; // how much the master has sent to its replicas
    size_t replicas; // connected, in whatever state
    size_t good;     // of these: online and within REPLICATION_LAG_MAX_S
};
// False when it is not that text; *out is unchanged.
CM_MUST_CHECK bool replication_parse(struct slice info, struct replication *out);
// How many online replicas have acknowledged all up to that offset.
size_t replication_holders(struct slice info, uint64_t offset);
