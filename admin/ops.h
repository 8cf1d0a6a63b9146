// SPDX-License-Identifier: Apache-2.0
// The ops listener of cm-admin: /livez, /readyz, /metrics.
#pragma once

#include <stdbool.h>

#include "admin/api.h"
#include "admin/propagation.h"
#include "admin/roster.h"
#include "admin/store_watch.h"
#include "common/http/server.h"

// Everything borrowed from service.c.
struct admin_ops {
    const struct api *api;
    const struct server *api_server;
    const struct roster *roster;
    const struct propagation *propagation;
    const struct store_watch *watch;
    struct redis *data, *subscription;
    bool draining;
};

// server_options.handler and .refuse; ctx is a struct admin_ops.
void admin_ops_handle(void *ctx, struct call *c);
void admin_ops_refuse(void *ctx, struct call *c, struct reply *reply);
