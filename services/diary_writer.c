// SPDX-License-Identifier: Apache-2.0
// The loop never touches the disk: it collects lines, and a job on another thread
// writes them, one job at a time. A refusal or a change goes at once, because a
// worker that was told of it and is killed must still know it when it starts again:
// the worker's ack waits until it is written (diary_writer_is_noted), some 0.1 ms, and
// so survives the process. It is synced, and so survives the machine, by the job after
// that, which no ack waits for: who loses its power in those milliseconds may know the
// key as good until it hears from the store again. Keys and times of confirmation wait
// for the tick.
//
//   LOCKED_OUT  another process writes this slot's diary (our predecessor, which is
//               leaving): it notes what happens, we only keep the refusals, which it
//               may not have heard any more; then the diary is written anew
//   APPENDING   lines go to the file
//   REBUILDING  the cache is walked, a piece after each job, into "<name>.new"; what
//               happens meanwhile goes to both files, so that the new one is exact
//               when the walk ends. A file that is not whole gets only what makes it
//               stricter
//   FAILED      the disk said no: nothing is noted; after RETRY_MS it is written anew
//
// A diary in which a refusal is missing would give a key its rights back. So the one
// that can no longer be written to is taken away, which works on a full disk too:
// nothing is known then of its keys, and nobody is let through by them.
//
// A reload in the middle of a walk begins it anew: an entry that is written after the
// line that makes all unverified would look as if it had been read since.
#include "services/diary_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "services/key_diary.h"
#include "services/state_load.h"

enum {
    PIECE_BYTES = 64 * 1024, // of a walk, between two jobs
    STAMP_MS = 2000,
    RETRY_MS = 5000,
    KEPT_MAX = 1 << 20,   // of lines while locked out
    GROWTH_MIN = 1 << 20, // before it is written anew
};

enum writer_state { LOCKED_OUT, APPENDING, REBUILDING, FAILED };

struct job {
    uv_work_t work;
    bool busy;
    // What to do, and with what; the loop leaves it alone while busy.
    bool take_lock, begin_new, install, sync;
    bool stale;  // the file that bytes are for is not whole
    bool urgent; // somebody waits for bytes
    struct buf bytes, new_bytes;
    int error;
};

struct diary_writer {
    struct diary_writer_options options;
    enum writer_state state;
    char name[STATE_NAME_MAX], new_name[STATE_NAME_MAX + 4], lock_name[STATE_NAME_MAX];
    struct job job;
    int lock_fd, fd, new_fd; // -1; the job's while it is busy
    bool whole;              // the file holds all that the cache knows
    struct buf lines, new_lines;
    bool urgent, worth_sync; // in lines; urgent: the ack waits for it
    bool sync_due;           // what was written has not been synced
    // The walk.
    bool walking, install_due, begin_due;
    bool any, last_verified;
    uint32_t last_read_in;
    uint64_t last_lease_ms;
    size_t size, built_size; // of the file; when it was last written anew
    uint64_t stamped_ms, confirmed_ms, retry_at_ms, now_ms;
    bool closing;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

static bool is_noting(const struct diary_writer *d)
{
    return !d->closing && (d->state == APPENDING || d->state == REBUILDING);
}

static bool is_noting_refusals(const struct diary_writer *d)
{
    return is_noting(d) || (!d->closing && d->state == LOCKED_OUT);
}

static void start_job(struct diary_writer *d);

// -- what happens to the cache ----------------------------------------------

// A line was added to d->lines: the file that is being built gets it too.
static void noted(struct diary_writer *d, size_t from, bool urgent)
{
    if (d->state == REBUILDING)
        buf_append_slice(&d->new_lines, slice_skip(buf_slice(&d->lines), from));
    if (!urgent && !d->whole)
        d->lines.len = from;
    if (d->state == LOCKED_OUT && d->lines.len > KEPT_MAX)
        buf_clear(&d->lines); // long ago: the predecessor has them
    d->worth_sync = true;
    d->urgent = d->urgent || urgent;
    if (urgent)
        start_job(d);
}

static void on_put(void *ctx, const struct secret_digest *digest, const struct key *k,
                   uint64_t as_of)
{
    struct diary_writer *d = ctx;
    size_t from = d->lines.len;
    if (!is_noting(d))
        return;
    key_diary_put(&d->lines, digest, k, as_of);
    noted(d, from, false);
}

static void on_change(void *ctx, const struct secret_digest *digest, bool deny, uint64_t revision)
{
    struct diary_writer *d = ctx;
    size_t from = d->lines.len;
    if (!is_noting_refusals(d))
        return;
    key_diary_change(&d->lines, digest, deny, revision);
    noted(d, from, true);
}

static void on_forget(void *ctx, const struct secret_digest *digest)
{
    struct diary_writer *d = ctx;
    size_t from = d->lines.len;
    if (!is_noting_refusals(d))
        return;
    key_diary_forget(&d->lines, digest);
    noted(d, from, true);
}

static void begin_walk(struct diary_writer *d);

static void on_unverify(void *ctx, uint64_t confirmed_ms)
{
    struct diary_writer *d = ctx;
    struct clock_stamp stamp;
    size_t from = d->lines.len;
    if (!is_noting(d))
        return;
    if (confirmed_ms > 0) {
        clock_stamp_make(&stamp, confirmed_ms);
        key_diary_stamp(&d->lines, &stamp);
    }
    key_diary_unverify(&d->lines);
    if (d->walking)
        begin_walk(d);
    noted(d, from, false);
}

static const struct key_cache_diarist diarist = {
    .on_put = on_put, .on_change = on_change, .on_forget = on_forget, .on_unverify = on_unverify};

// -- the job ----------------------------------------------------------------

static int append(int *fd, const struct state_dir *dir, const char *name, bool fresh,
                  const struct buf *bytes)
{
    if (*fd < 0)
        *fd = state_dir_append_to(dir, name, fresh);
    return *fd < 0 ? *fd : state_dir_write(*fd, buf_slice(bytes));
}

// The file that stands is left in its place, also when it is not whole; none is made.
static int open_stale(struct diary_writer *d)
{
    if (d->fd < 0)
        d->fd = state_dir_edit(d->options.dir, d->name, false);
    return d->fd < 0 ? d->fd : lseek(d->fd, 0, SEEK_END) < 0 ? -errno : 0;
}

static int write_lines(struct diary_writer *d)
{
    int error = d->job.stale ? open_stale(d) : 0;
    if (error == -ENOENT)
        return 0;
    return error != 0 ? error : append(&d->fd, d->options.dir, d->name, false, &d->job.bytes);
}

static int write_new(struct diary_writer *d)
{
    if (d->job.begin_new && d->new_fd >= 0) {
        close(d->new_fd);
        d->new_fd = -1;
    }
    int error = append(&d->new_fd, d->options.dir, d->new_name, true, &d->job.new_bytes);
    if (error != 0 || !d->job.install)
        return error;
    if (fsync(d->new_fd) != 0)
        return -errno;
    return state_dir_install(d->options.dir, d->name);
}

static int take_lock(struct diary_writer *d)
{
    d->lock_fd = state_dir_lock(d->options.dir, d->lock_name);
    return d->lock_fd < 0 ? d->lock_fd : 0;
}

static void on_work(uv_work_t *work)
{
    struct diary_writer *d = CM_CONTAINER_OF(work, struct diary_writer, job.work);
    struct job *j = &d->job;
    j->error = j->take_lock ? take_lock(d) : 0;
    if (j->error == 0 && j->bytes.len > 0)
        j->error = write_lines(d);
    if (j->error == 0 && j->sync && d->fd >= 0 && fdatasync(d->fd) != 0)
        j->error = -errno;
    if (j->error == 0 && (j->new_bytes.len > 0 || j->install))
        j->error = write_new(d);
    if (j->error != 0 && d->lock_fd >= 0)
        state_dir_remove(d->options.dir, d->name);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void forget_lines(struct diary_writer *d)
{
    buf_fini(&d->lines);
    buf_fini(&d->new_lines);
    d->worth_sync = false;
}

// Who has the lock notes what happens, too, and does not ack before it has.
static void fail(struct diary_writer *d)
{
    d->state = d->lock_fd < 0 ? LOCKED_OUT : FAILED;
    d->retry_at_ms = d->job.error == -EWOULDBLOCK ? 0 : d->now_ms + RETRY_MS;
    d->whole = d->walking = d->install_due = d->urgent = d->sync_due = false;
    close_fd(&d->fd);
    close_fd(&d->new_fd);
    if (d->state == FAILED)
        forget_lines(d);
}

static void begin_rebuild(struct diary_writer *d)
{
    d->state = REBUILDING;
    begin_walk(d);
}

static void on_installed(struct diary_writer *d)
{
    close_fd(&d->fd);
    d->fd = d->new_fd;
    d->new_fd = -1;
    d->state = APPENDING;
    d->whole = true;
    d->size = d->built_size;
    buf_fini(&d->lines);
    d->lines = d->new_lines;
    d->new_lines = (struct buf){.ptr = NULL};
}

static void on_locked(struct diary_writer *d)
{
    if (d->whole)
        d->state = APPENDING;
    else
        begin_rebuild(d);
}

static void finish(struct diary_writer *d)
{
    close_fd(&d->fd);
    close_fd(&d->new_fd);
    close_fd(&d->lock_fd);
    void (*on_closed)(void *) = d->on_closed;
    void *ctx = d->closed_ctx;
    forget_lines(d);
    buf_fini(&d->job.bytes);
    buf_fini(&d->job.new_bytes);
    free(d);
    on_closed(ctx);
}

static void after_work(uv_work_t *work, int status)
{
    struct diary_writer *d = CM_CONTAINER_OF(work, struct diary_writer, job.work);
    struct job *j = &d->job;
    (void)status; // nobody cancels it
    bool locked_out = j->take_lock && j->error == -EWOULDBLOCK;
    j->busy = false;
    if (j->error != 0)
        fail(d);
    else if (j->take_lock)
        on_locked(d);
    else if (j->install)
        on_installed(d);
    if (!locked_out)
        d->options.on_written(d->options.ctx, j->error);
    if (j->error == 0 && (d->urgent || d->sync_due || d->state == REBUILDING || d->closing))
        start_job(d);
    if (diary_writer_is_noted(d))
        d->options.on_noted(d->options.ctx);
    if (d->closing && !d->job.busy)
        finish(d);
}

// -- writing it anew --------------------------------------------------------

static void begin_walk(struct diary_writer *d)
{
    d->walking = d->begin_due = true;
    d->any = d->last_verified = d->install_due = false;
    d->built_size = 0;
    buf_clear(&d->new_lines);
    key_diary_open(&d->new_lines, d->options.store);
    key_cache_walk(d->options.cache);
}

// A moment that cannot be known is written as one that nobody will believe.
static void write_lease(struct buf *out, uint64_t lease_ms)
{
    struct clock_stamp stamp = {.boot_id = ""};
    if (lease_ms > 0)
        clock_stamp_make(&stamp, lease_ms);
    key_diary_stamp(out, &stamp);
}

static void end_generation(struct diary_writer *d)
{
    write_lease(&d->new_lines, d->last_lease_ms);
    key_diary_unverify(&d->new_lines);
}

// Entries come in the order in which they were read, so by generations.
static void write_known(struct diary_writer *d, const struct key_entry *e)
{
    const struct key_cache *cache = d->options.cache;
    if (d->any && e->read_in != d->last_read_in)
        end_generation(d);
    d->any = true;
    d->last_read_in = e->read_in;
    d->last_verified = key_cache_is_verified(cache, e);
    d->last_lease_ms = key_cache_confirmed_ms(cache, e, feed_confirmed_at(d->options.feed));
    key_diary_put(&d->new_lines, &e->table.digest, e->key, e->as_of);
    if (e->dirty)
        key_diary_change(&d->new_lines, &e->table.digest, false, e->as_of + 1);
}

static void write_now(struct diary_writer *d, struct buf *out)
{
    struct feed_position at = feed_position(d->options.feed);
    if (feed_state(d->options.feed) != FEED_LIVE)
        return;
    write_lease(out, feed_confirmed_at(d->options.feed));
    key_diary_position(out, &at);
}

static void end_walk(struct diary_writer *d)
{
    d->walking = false;
    d->install_due = true;
    if (d->any && !d->last_verified)
        end_generation(d);
    write_now(d, &d->new_lines);
}

static void walk_on(struct diary_writer *d)
{
    size_t stop = d->new_lines.len + PIECE_BYTES;
    while (d->walking && d->new_lines.len < stop) {
        const struct key_entry *e = key_cache_walk_next(d->options.cache);
        if (e == NULL)
            end_walk(d);
        else if (e->kind == KEY_ENTRY_DENIED)
            key_diary_change(&d->new_lines, &e->table.digest, true, e->deny_revision);
        else if (!e->lent)
            write_known(d, e);
    }
}

// -- starting jobs ----------------------------------------------------------

static void move(struct buf *to, struct buf *from)
{
    buf_clear(to);
    struct buf empty = *to;
    *to = *from;
    *from = empty;
}

// Writing and syncing take turns, so that a line waits for one sync at most.
static void take_lines(struct diary_writer *d)
{
    struct job *j = &d->job;
    j->sync = d->sync_due;
    j->urgent = d->urgent && !j->sync;
    d->sync_due = false;
    buf_clear(&j->bytes);
    if (j->sync)
        return;
    move(&j->bytes, &d->lines);
    d->size += j->bytes.len;
    d->sync_due = d->worth_sync && j->bytes.len > 0;
    d->urgent = d->worth_sync = false;
}

static void prepare(struct diary_writer *d)
{
    struct job *j = &d->job;
    j->take_lock = d->state == LOCKED_OUT;
    j->install = d->install_due;
    j->begin_new = d->begin_due;
    j->stale = !d->whole;
    j->sync = j->urgent = false;
    if (j->take_lock)
        return;
    take_lines(d);
    move(&j->new_bytes, &d->new_lines);
    d->built_size += j->new_bytes.len;
    d->install_due = d->begin_due = false;
}

static bool has_work(const struct diary_writer *d)
{
    if (d->state == LOCKED_OUT)
        return d->now_ms >= d->retry_at_ms;
    return d->lines.len > 0 || d->new_lines.len > 0 || d->install_due || d->sync_due;
}

static void start_job(struct diary_writer *d)
{
    if (d->job.busy || d->state == FAILED)
        return;
    if (d->state == REBUILDING)
        walk_on(d);
    if (!has_work(d)) {
        d->urgent = false; // a new file holds it, or the lock cannot be asked for yet
        return;
    }
    prepare(d);
    d->job.busy = true;
    int error = uv_queue_work(d->options.loop, &d->job.work, on_work, after_work);
    CM_ASSERT(error == 0);
}

// A file that is being built holds all that is known only when the walk is over.
static void note_now(struct diary_writer *d)
{
    if (d->whole)
        write_now(d, &d->lines);
    if (d->state == REBUILDING && !d->walking)
        write_now(d, &d->new_lines);
}

static void stamp(struct diary_writer *d)
{
    uint64_t confirmed = feed_confirmed_at(d->options.feed);
    if (d->now_ms < d->stamped_ms + STAMP_MS || confirmed == d->confirmed_ms ||
        feed_state(d->options.feed) != FEED_LIVE)
        return;
    d->stamped_ms = d->now_ms;
    d->confirmed_ms = confirmed;
    note_now(d);
}

void diary_writer_tick(struct diary_writer *d, uint64_t now_ms)
{
    d->now_ms = now_ms;
    if (is_noting(d))
        stamp(d);
    if (d->state == APPENDING && d->size > GROWTH_MIN + 2 * d->built_size)
        begin_rebuild(d);
    if (d->state == FAILED && now_ms >= d->retry_at_ms && !d->job.busy)
        begin_rebuild(d);
    start_job(d);
}

bool diary_writer_is_noted(const struct diary_writer *d)
{
    return !d->urgent && !(d->job.busy && d->job.urgent);
}

struct diary_writer *diary_writer_open(const struct diary_writer_options *options)
{
    struct diary_writer *d = xcalloc(1, sizeof(*d));
    d->options = *options;
    d->lock_fd = d->fd = d->new_fd = -1;
    state_diary_name(options->slot, d->name);
    state_diary_lock_name(options->slot, d->lock_name);
    snprintf(d->new_name, sizeof(d->new_name), "%s.new", d->name);
    d->size = d->built_size = options->size;
    d->whole = options->whole;
    // At once and here, so that nothing that happens is missed.
    int error = take_lock(d);
    d->state = LOCKED_OUT;
    if (error == 0 && d->whole)
        error = state_dir_cut(options->dir, d->name, options->size);
    if (error != 0)
        d->whole = false;
    if (d->lock_fd >= 0)
        on_locked(d);
    key_cache_set_diarist(options->cache, &diarist, d);
    return d;
}

void diary_writer_close(struct diary_writer *d, void (*on_closed)(void *ctx), void *ctx)
{
    if (is_noting(d))
        note_now(d);
    d->closing = true;
    d->on_closed = on_closed;
    d->closed_ctx = ctx;
    key_cache_set_diarist(d->options.cache, NULL, NULL);
    if (d->state == APPENDING || d->state == REBUILDING)
        start_job(d);
    if (!d->job.busy)
        finish(d);
}
