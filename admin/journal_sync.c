// SPDX-License-Identifier: Apache-2.0
// A sync takes as long as the disk likes, several milliseconds on many, and a write
// of the API a fraction of one. So a write is answered after a sync that began after
// it, but does not have one of its own: while one runs, the next writes are made, and
// one more sync, begun when it ends, is for all of them.
//
//   idle --wait--> running --ended--> running for those who came meanwhile, or idle
#include "admin/journal_sync.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/store/later.h"

struct waiter {
    struct waiter *next;
    void (*on_synced)(void *ctx, bool on_disk);
    void *ctx;
};

struct journal_sync {
    uv_loop_t *loop;
    struct journal *journal;
    uv_work_t work;
    bool running;
    struct waiter *served;        // by the sync that runs
    struct waiter *first, **last; // by the next one
    int fd, error;                // the running sync's; -1 = there is nothing to be done
};

struct journal_sync *journal_sync_create(uv_loop_t *loop, struct journal *j)
{
    struct journal_sync *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->journal = j;
    s->last = &s->first;
    return s;
}

void journal_sync_destroy(struct journal_sync *s)
{
    CM_ASSERT(s == NULL || (!s->running && s->first == NULL));
    free(s);
}

// On another thread, which touches nothing else.
static void on_work(uv_work_t *work)
{
    struct journal_sync *s = CM_CONTAINER_OF(work, struct journal_sync, work);
    if (s->fd >= 0 && fdatasync(s->fd) != 0)
        s->error = errno;
}

static void run(void *ctx);

static void tell(struct waiter *w, bool on_disk)
{
    while (w != NULL) {
        struct waiter *next = w->next;
        w->on_synced(w->ctx, on_disk);
        free(w);
        w = next;
    }
}

static void on_worked(uv_work_t *work, int status)
{
    struct journal_sync *s = CM_CONTAINER_OF(work, struct journal_sync, work);
    struct waiter *served = s->served;
    CM_ASSERT(status == 0); // it is never cancelled
    bool on_disk = s->fd >= 0 && journal_sync_end(s->journal, s->error);
    s->served = NULL;
    s->running = s->first != NULL;
    if (s->running)
        run(s);
    tell(served, on_disk);
}

static void run(void *ctx)
{
    struct journal_sync *s = ctx;
    s->served = s->first;
    s->first = NULL;
    s->last = &s->first;
    s->fd = journal_sync_begin(s->journal);
    s->error = 0;
    CM_ASSERT(uv_queue_work(s->loop, &s->work, on_work, on_worked) == 0);
}

void journal_sync_wait(struct journal_sync *s, void (*on_synced)(void *ctx, bool on_disk),
                       void *ctx)
{
    struct waiter *w = xcalloc(1, sizeof(*w));
    w->on_synced = on_synced;
    w->ctx = ctx;
    *s->last = w;
    s->last = &w->next;
    if (s->running)
        return;
    s->running = true; // in the next turn: what is answered in this one shares it
    later_run(s->loop, run, s);
}
