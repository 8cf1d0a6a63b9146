// SPDX-License-Identifier: Apache-2.0
// Everything that a child process gets from the supervisor: a few words on its
// command line and descriptors at fixed numbers. Both ends of it are here.
//
//   cm-models --worker <layout> <id> <id of its predecessor or -> <index of its block>
//   3 = the shared mapping; a worker: 4 = the vault, 5.. = the listening sockets
//   of all slots, those for TLS after all others; the ops child (--ops): 4 = its
//   listener. All other descriptors but 0..2 are closed.
//
// The layout says what all of that looks like: a roll may start another program
// than the one that the supervisor is, and one that means something else by it
// must say so and end. The log level is in the environment, as it is by now.
//
// SIGTERM, SIGINT, SIGHUP and SIGUSR2 are ignored when it starts: who ends a service
// often signals its whole process group or cgroup, and the supervisor alone decides
// when a child leaves. It says so by HERITAGE_DISMISS, which nobody else sends.
// A child is killed when the supervisor dies.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/util.h"

enum { HERITAGE_DISMISS = SIGUSR1 };
enum { HERITAGE_ID_MAX = 48, HERITAGE_INSTANCE_LEN = 8, HERITAGE_LAYOUT_MAX = 96 };
enum {
    HERITAGE_FD_MAPPING = 3,
    HERITAGE_FD_VAULT = 4,     // a worker's
    HERITAGE_FD_LISTENERS = 5, // a worker's
    HERITAGE_FD_OPS = 4        // the ops child's
};

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

// What a child of this program expects. NUL-ended.
void heritage_layout(char out[HERITAGE_LAYOUT_MAX]);

// The same descriptor (fd is closed) above the numbers at which a child gets its
// fd_count ones; all that are given below must be. Close-on-exec.
CM_MUST_CHECK int heritage_lift(int fd, size_t fd_count);

// Starts the program in that file as a child with those descriptors, from
// HERITAGE_FD_MAPPING on. Its pid, or -1 with errno set.
CM_MUST_CHECK pid_t heritage_spawn(const struct heritage *h, int program, const int *fds,
                                   size_t fd_count);

// The child's side: reads main's arguments from the role on; *out is changed only
// where they fit.
enum heritage_fit {
    HERITAGE_NONE,  // they are something else
    HERITAGE_OTHER, // the supervisor is of another build, with another layout
    HERITAGE_FITS
};
CM_MUST_CHECK enum heritage_fit heritage_parse(int argc, char *const *argv, struct heritage *out);
