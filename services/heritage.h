// SPDX-License-Identifier: Apache-2.0
// Everything that a child process gets from the supervisor: a few words on its
// command line and descriptors at fixed numbers. Both ends of it are here.
//
//   cm-models --worker <id> <id of its predecessor or -> <index of its block>
//   3 = the shared mapping, 4.. = the listening sockets of all slots (a worker)
//   or the ops listener (the ops child). All other descriptors but 0..2 are closed.
//
// SIGINT, SIGHUP and SIGUSR2 are ignored when it starts: the supervisor decides.
// It is killed when the supervisor dies.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/util.h"

enum { HERITAGE_ID_MAX = 48, HERITAGE_INSTANCE_LEN = 8, HERITAGE_FD_MAPPING = 3 };

enum heritage_role { HERITAGE_WORKER, HERITAGE_OPS };

struct heritage {
    enum heritage_role role;
    char instance[HERITAGE_INSTANCE_LEN + 1]; // of the supervisor: 8 hex digits
    unsigned slot;                            // the ops child has the one after the workers'
    uint64_t incarnation;                     // from 1, one higher with each start in the slot
    uint64_t previous;                        // incarnation that it replaces; 0 = none
    unsigned block;                           // index of its block in the slot
};

// "<instance>-<slot>-<incarnation>", NUL-ended; "" for incarnation 0.
void heritage_id(const struct heritage *h, uint64_t incarnation, char out[HERITAGE_ID_MAX + 1]);

// Starts this program again as a child with those descriptors (mapping first,
// then listeners). Its pid, or -1 with errno set.
CM_MUST_CHECK pid_t heritage_spawn(const struct heritage *h, const int *fds, size_t fd_count);

// The child's side: reads main's arguments from the role on. False when they are
// not what heritage_spawn wrote.
CM_MUST_CHECK bool heritage_parse(int argc, char *const *argv, struct heritage *out);
