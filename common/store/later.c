// SPDX-License-Identifier: Apache-2.0
// An idle handle of its own for each call: idle handles keep the loop from
// blocking, so the next turn comes at once.
#include "common/store/later.h"

#include <stdlib.h>

#include "common/base/util.h"

struct later {
    uv_idle_t idle;
    void (*fn)(void *ctx);
    void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_idle(uv_idle_t *idle)
{
    struct later *l = idle->data;
    uv_close((uv_handle_t *)idle, on_closed);
    l->fn(l->ctx);
}

void later_run(uv_loop_t *loop, void (*fn)(void *ctx), void *ctx)
{
    struct later *l = xmalloc(sizeof(*l));
    l->fn = fn;
    l->ctx = ctx;
    uv_idle_init(loop, &l->idle);
    l->idle.data = l;
    uv_idle_start(&l->idle, on_idle);
}
