// SPDX-License-Identifier: Apache-2.0
// Listening sockets: made here, once, by whoever owns them; servers accept on them.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/util.h"

enum { BIND_BACKLOG = 4096, BIND_ADDRESS_MAX = 80 };

// Binds host:port ("[v6]:port" too), port 0 = any. Returns the socket, listening,
// non-blocking and close-on-exec, or a negative errno. reuse_port sets SO_REUSEPORT.
CM_MUST_CHECK int server_bind(const char *address, bool reuse_port, int backlog);
// Binds count sockets to one address, among which the kernel spreads connections.
// Fails with -EADDRINUSE when anybody else listens there, although the sockets
// share the port among themselves. 0 or a negative errno (then nothing is open).
CM_MUST_CHECK int server_bind_group(const char *address, int *fds, size_t count, int backlog);
// "127.0.0.1:8080": what a socket is bound to, NUL-ended.
void server_bound_address(int fd, char out[BIND_ADDRESS_MAX]);
