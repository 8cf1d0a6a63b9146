// SPDX-License-Identifier: Apache-2.0
// The saver takes a reference of every model and notes where the feed stands: models
// never change, so that is the catalog of that very moment, whatever comes while another
// thread writes it. Ten thousand references take a millisecond and more, for each is a
// cache miss, so they are taken in pieces, a turn each: if the catalog has moved meanwhile,
// all of it is for a later tick. They are given back in pieces, too.
//
// Only what a read has confirmed is saved: never an empty, suspect or distant state.
//
// Each worker has the same news at the same time. The one that gets the lock writes;
// the others find then that the file holds what they have, or something newer, and
// leave it. So nobody has to be elected, and nobody's death is noticed.
#include "services/catalog_saver.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "services/snapshot.h"
#include "services/state_load.h"
#include "services/state_text.h"

enum {
    SAVE_EVERY_MS = 5000,
    RETRY_MS = 1000,
    HEAD_MAX = 1024, // of the file: what tells where it stands
    PIECE = 500      // references, a turn
};

struct capture {
    struct snapshot_head head;
    struct model **models;
    size_t count, at;
    struct buf refused; // already written
};

struct catalog_saver {
    struct catalog_saver_options options;
    uv_idle_t pieces; // active while the capture is taken or given back
    uv_work_t work;
    bool busy, written; // busy: from the first piece to the end of the job
    int error;
    struct capture capture;   // the job's while it is busy
    uint64_t captured, saved; // replica's changes
    uint64_t saved_epoch;
    bool trusts_file; // it was whole when we looked, or we have written it
    uint64_t next_ms, now_ms;
    bool closing;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

// -- on the other thread ----------------------------------------------------

// What the file's first lines say, without looking at the rest. Epoch 0: nothing.
static struct feed_position file_position(const struct catalog_saver *s)
{
    struct feed_position at = {.epoch = 0};
    struct buf text = {.ptr = NULL};
    int error = state_dir_read(s->options.dir, STATE_CATALOG_NAME, HEAD_MAX, &text);
    if (error == 0 || error == -EFBIG) {
        struct slice rest = buf_slice(&text);
        (void)slice_take(&rest, '\n');
        struct slice line = slice_take(&rest, '\n');
        if (!slice_starts_with(line, SLICE_LIT("at ")) ||
            !state_text_read_position(slice_skip(line, 3), &at))
            at.epoch = 0;
    }
    buf_fini(&text);
    return at;
}

static bool is_there_already(const struct catalog_saver *s)
{
    const struct feed_position *ours = &s->capture.head.at;
    struct feed_position at = file_position(s);
    if (!s->trusts_file || at.epoch != ours->epoch)
        return false;
    return at.revision > ours->revision ||
           (at.models == ours->models && digest_equal(at.digest, ours->digest));
}

static int write_file(const struct catalog_saver *s)
{
    const struct capture *c = &s->capture;
    struct buf text = {.ptr = NULL};
    snapshot_begin(&text, s->options.store, &c->head);
    for (size_t i = 0; i < c->count; i++) {
        struct snapshot_record r = {SNAPSHOT_MODEL, c->models[i]->id, c->models[i]->record};
        snapshot_add(&text, &r);
    }
    buf_append_slice(&text, buf_slice(&c->refused));
    snapshot_end(&text);
    int error = state_dir_replace(s->options.dir, STATE_CATALOG_NAME, buf_slice(&text));
    buf_fini(&text);
    return error;
}

static void on_work(uv_work_t *work)
{
    struct catalog_saver *s = CM_CONTAINER_OF(work, struct catalog_saver, work);
    int lock = state_dir_lock(s->options.dir, "lock-catalog");
    s->error = lock < 0 ? lock : 0;
    s->written = s->error == 0 && !is_there_already(s);
    if (s->written)
        s->error = write_file(s);
    if (lock >= 0)
        close(lock);
}

// -- on the loop ------------------------------------------------------------

static void on_refused(void *ctx, struct slice id, struct slice record, bool gone)
{
    struct snapshot_record r = {gone ? SNAPSHOT_GONE : SNAPSHOT_REFUSED, id, record};
    snapshot_add(ctx, &r);
}

static void begin_take(struct catalog_saver *s)
{
    struct capture *c = &s->capture;
    const struct replica *r = s->options.replica;
    c->models = xcalloc(catalog_count(r->shown), sizeof(struct model *));
    c->count = c->at = 0;
    s->captured = r->changes;
}

static void end_take(struct catalog_saver *s)
{
    struct capture *c = &s->capture;
    c->head.at = feed_position(s->options.feed);
    clock_stamp_make(&c->head.confirmed, feed_confirmed_at(s->options.feed));
    replica_each_refused(s->options.replica, on_refused, &c->refused);
}

static void give_back(struct catalog_saver *s, size_t most)
{
    struct capture *c = &s->capture;
    while (c->count > 0 && most-- > 0)
        model_unref(c->models[--c->count]);
    if (c->count > 0)
        return;
    free(c->models);
    c->models = NULL;
    buf_fini(&c->refused);
}

static bool has_news(const struct catalog_saver *s)
{
    return feed_state(s->options.feed) == FEED_LIVE &&
           (s->options.replica->changes != s->saved ||
            feed_position(s->options.feed).epoch != s->saved_epoch);
}

static void on_idle_closed(uv_handle_t *handle)
{
    struct catalog_saver *s = CM_CONTAINER_OF(handle, struct catalog_saver, pieces);
    void (*on_closed)(void *) = s->on_closed;
    void *ctx = s->closed_ctx;
    free(s);
    on_closed(ctx);
}

static void finish(struct catalog_saver *s)
{
    give_back(s, SIZE_MAX);
    uv_close((uv_handle_t *)&s->pieces, on_idle_closed);
}

static void on_piece(uv_idle_t *pieces);

static void after_work(uv_work_t *work, int status)
{
    struct catalog_saver *s = CM_CONTAINER_OF(work, struct catalog_saver, work);
    (void)status;                          // nobody cancels it
    bool taken = s->error == -EWOULDBLOCK; // by another worker, with the same news
    s->busy = false;
    s->next_ms = s->now_ms + (s->error == 0 ? SAVE_EVERY_MS : RETRY_MS);
    if (s->error == 0) {
        s->saved = s->captured;
        s->saved_epoch = s->capture.head.at.epoch;
        s->trusts_file = true;
    }
    if (!taken)
        s->options.on_written(s->options.ctx, s->error, s->written);
    if (s->closing)
        finish(s);
    else
        uv_idle_start(&s->pieces, on_piece);
}

static void start_job(struct catalog_saver *s)
{
    uv_idle_stop(&s->pieces);
    end_take(s);
    int error = uv_queue_work(s->options.loop, &s->work, on_work, after_work);
    CM_ASSERT(error == 0);
}

static void take(struct catalog_saver *s, size_t most)
{
    struct capture *c = &s->capture;
    size_t taken = catalog_models(s->options.replica->shown, &c->at, most, c->models + c->count);
    c->count += taken;
    if (taken < most)
        start_job(s);
}

static bool has_moved(const struct catalog_saver *s)
{
    return s->options.replica->changes != s->captured || feed_state(s->options.feed) != FEED_LIVE;
}

static void on_piece(uv_idle_t *pieces)
{
    struct catalog_saver *s = CM_CONTAINER_OF(pieces, struct catalog_saver, pieces);
    s->busy = s->busy && !has_moved(s);
    if (s->busy) {
        take(s, PIECE);
        return;
    }
    give_back(s, PIECE);
    if (s->capture.models != NULL)
        return;
    uv_idle_stop(pieces);
    if (s->closing)
        finish(s);
}

static void start(struct catalog_saver *s)
{
    s->busy = true;
    begin_take(s);
    uv_idle_start(&s->pieces, on_piece);
}

void catalog_saver_tick(struct catalog_saver *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    bool waits = !s->busy && !s->closing && s->capture.models == NULL;
    if (waits && now_ms >= s->next_ms && has_news(s))
        start(s);
}

struct catalog_saver *catalog_saver_open(const struct catalog_saver_options *options)
{
    struct catalog_saver *s = xcalloc(1, sizeof(*s));
    s->options = *options;
    uv_idle_init(options->loop, &s->pieces);
    s->trusts_file = options->saved;
    s->saved = options->saved ? options->replica->changes : UINT64_MAX;
    s->saved_epoch = options->saved ? feed_position(options->feed).epoch : 0;
    return s;
}

void catalog_saver_close(struct catalog_saver *s, void (*on_closed)(void *ctx), void *ctx)
{
    s->closing = true;
    s->on_closed = on_closed;
    s->closed_ctx = ctx;
    bool in_job = s->busy && !uv_is_active((uv_handle_t *)&s->pieces);
    uv_idle_stop(&s->pieces);
    if (in_job)
        return;
    s->busy = false;
    give_back(s, SIZE_MAX);
    if (has_news(s))
        start(s);
    else
        finish(s);
}
