// SPDX-License-Identifier: Apache-2.0
// The listening sockets that one worker accepts on: its own slot's always, a
// neighbour's while nobody else does.
#pragma once

#include <stdint.h>

#include "common/http/server.h"
#include "services/shm.h"

enum { NEIGHBOURS_LOOK_MS = 50, NEIGHBOURS_PATIENCE_MS = 100 };

struct neighbours {
    struct server *server;
    const struct shm *shm;
    unsigned slot;            // our own
    const int *listeners;     // of all slots
    const int *tls_listeners; // the same for TLS; unused without tls
    struct tls *tls;          // NULL = cleartext alone
    struct neighbour *all;
};

// 0, or the negative errno of listening on our own sockets (then nothing is held).
CM_MUST_CHECK int neighbours_start(struct neighbours *n);
// To be called every NEIGHBOURS_LOOK_MS.
void neighbours_look(struct neighbours *n, uint64_t now_ms);
// Forgets all; the server stops listening by itself when it drains.
void neighbours_stop(struct neighbours *n);
