// SPDX-License-Identifier: Apache-2.0
// A connection that the kernel has put into a slot's queue can be taken from that
// queue only. So when a worker dies or hangs, its neighbours help out until a
// successor accepts there: nobody who has connected is lost. Several may help at
// once; whoever comes first takes.
#include "services/neighbours.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

struct neighbour {
    uint64_t vacant_since_ms; // 0 = covered
    bool helping;
};

// On both sockets of a slot or on none.
static int listen_at(struct neighbours *n, unsigned slot)
{
    int error = server_listen(n->server, n->listeners[slot], NULL);
    if (error != 0 || n->tls == NULL)
        return error;
    error = server_listen(n->server, n->tls_listeners[slot], n->tls);
    if (error != 0)
        server_unlisten(n->server, n->listeners[slot]);
    return error;
}

static void unlisten_at(struct neighbours *n, unsigned slot)
{
    server_unlisten(n->server, n->listeners[slot]);
    if (n->tls != NULL)
        server_unlisten(n->server, n->tls_listeners[slot]);
}

int neighbours_start(struct neighbours *n)
{
    int error = listen_at(n, n->slot);
    n->all = error == 0 ? xcalloc(shm_slots(n->shm), sizeof(*n->all)) : NULL;
    return error;
}

static void help(struct neighbours *n, unsigned slot)
{
    int error = listen_at(n, slot);
    if (error != 0) {
        LOG_ERROR("listen_failed", LOG_U64("slot", slot), LOG_CSTR("error", strerror(-error)));
        return;
    }
    n->all[slot].helping = true;
    LOG_INFO("helping_out", LOG_U64("slot", slot));
}

static void look_at(struct neighbours *n, unsigned slot, uint64_t now_ms)
{
    struct neighbour *it = &n->all[slot];
    if (shm_slot_covered(n->shm, slot, now_ms)) {
        it->vacant_since_ms = 0;
        if (it->helping)
            unlisten_at(n, slot);
        it->helping = false;
    } else if (it->vacant_since_ms == 0) {
        it->vacant_since_ms = now_ms;
    } else if (!it->helping && now_ms - it->vacant_since_ms > NEIGHBOURS_PATIENCE_MS) {
        help(n, slot);
    }
}

void neighbours_look(struct neighbours *n, uint64_t now_ms)
{
    for (unsigned slot = 0; slot < shm_slots(n->shm); slot++)
        if (slot != n->slot)
            look_at(n, slot, now_ms);
}

void neighbours_stop(struct neighbours *n)
{
    free(n->all);
    n->all = NULL;
}
