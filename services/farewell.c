// SPDX-License-Identifier: Apache-2.0
// A worker that leaves while Redis is away, or while no admin listens, cannot tell that
// it has left: the admins would count it as silent for CM_MAX_STALE_S, and no write
// would be complete. So its bye goes to disk as its last act, when it serves nobody any
// more, and whichever worker starts next on the directory says it. A bye is true for
// ever, because ids are never used again: neither a copy of the directory nor one that
// is said twice can take off a worker that still serves.
//
// They are said when the link is up, all of them one after the other, and all once
// more a little later, for an admin that has come back after the first. Who was killed
// has left nothing; its successor or an operator takes it off.
//
// The disk is read at the start and written at the end, never between them.
#include "services/farewell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/state_dir.h"

enum {
    ROUNDS = 2,
    ROUND_MS = 3000, // from one to the next, or to another try
    MOST = 256,      // in a directory
    FILE_MAX = 4096
};

static const char prefix[] = "bye-";

static void name_of(const struct ack *bye, char out[STATE_NAME_MAX])
{
    int len = snprintf(out, STATE_NAME_MAX, "%s%s", prefix, bye->id);
    CM_ASSERT(len > 0 && len < STATE_NAME_MAX);
}

// -- the start --------------------------------------------------------------

struct reading {
    struct farewell *f;
    const struct state_dir *dir;
};

static bool parse(const struct buf *text, const char *name, struct ack *bye)
{
    char right[STATE_NAME_MAX];
    if (!ack_parse(buf_slice(text), bye) || bye->kind != ACK_BYE)
        return false;
    name_of(bye, right);
    return strcmp(name, right) == 0;
}

static void on_name(void *ctx, const char *name)
{
    const struct reading *r = ctx;
    struct farewell *f = r->f;
    struct buf text = {.len = 0};
    struct ack bye;
    if (f->count < MOST && state_dir_read(r->dir, name, FILE_MAX, &text) == 0) {
        if (parse(&text, name, &bye)) {
            f->byes = xrealloc(f->byes, (f->count + 1) * sizeof(*f->byes));
            f->byes[f->count++] = bye;
        } else {
            state_dir_remove(r->dir, name); // the disk was full
        }
    }
    buf_fini(&text);
}

void farewell_load(struct farewell *f, const char *path)
{
    struct state_dir dir;
    f->path = path;
    if (state_dir_open(&dir, path) != 0)
        return;
    state_dir_list(&dir, prefix, on_name, &(struct reading){f, &dir});
    state_dir_close(&dir);
}

// -- saying them ------------------------------------------------------------

static void say(struct farewell *f);

static void on_said(void *ctx, bool heard)
{
    struct farewell *f = ctx;
    f->busy = false;
    if (heard && ++f->saying < f->count) {
        say(f);
        return;
    }
    if (heard && ++f->rounds == ROUNDS)
        LOG_INFO("byes_said", LOG_U64("workers", f->count));
    f->saying = 0;
}

static void say(struct farewell *f)
{
    f->busy = feed_io_say_bye(f->io, &f->byes[f->saying], on_said, f);
}

void farewell_tick(struct farewell *f, struct feed_io *io, uint64_t now_ms)
{
    if (f->rounds == ROUNDS || f->count == 0 || f->busy || now_ms < f->next_ms)
        return;
    f->io = io;
    f->saying = 0;
    f->next_ms = now_ms + ROUND_MS;
    say(f);
}

// -- the end ----------------------------------------------------------------

static void count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
}

static void leave_own(const struct state_dir *dir, const struct ack *bye)
{
    char name[STATE_NAME_MAX];
    size_t there = 0;
    struct buf text = {.len = 0};
    state_dir_list(dir, prefix, count_name, &there);
    if (there >= MOST)
        return; // nobody has listened for so long that nobody counts
    name_of(bye, name);
    ack_write(&text, bye);
    int fd = state_dir_append_to(dir, name, true);
    bool kept = fd >= 0 && state_dir_write(fd, buf_slice(&text)) == 0;
    if (fd >= 0)
        close(fd);
    if (kept)
        LOG_INFO("bye_kept", LOG_CSTR("id", bye->id));
    else
        LOG_WARN("bye_lost", LOG_CSTR("id", bye->id));
    buf_fini(&text);
}

static void take_away(const struct farewell *f, const struct state_dir *dir)
{
    char name[STATE_NAME_MAX];
    for (size_t i = 0; i < f->count; i++) {
        name_of(&f->byes[i], name);
        state_dir_remove(dir, name);
    }
}

void farewell_leave(struct farewell *f, const struct ack *unheard)
{
    struct state_dir dir;
    bool said = f->count > 0 && f->rounds == ROUNDS;
    if (f->path != NULL && (said || unheard != NULL) && state_dir_open(&dir, f->path) == 0) {
        if (said)
            take_away(f, &dir);
        if (unheard != NULL)
            leave_own(&dir, unheard);
        state_dir_close(&dir);
    }
    free(f->byes);
    *f = (struct farewell){.path = NULL};
}
