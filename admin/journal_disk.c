// SPDX-License-Identifier: Apache-2.0
// What can fail here, and what is left then:
//
//   an append (the disk is full)   the file as it was.
//   a sync     the kernel may take for written what is not, and says so only once. So
//       all that no sync has vouched for is kept in memory, too, and is written again
//       before the next sync.
//   the next file   it is made aside, with all that belongs at its beginning, and takes
//       its name when it is on disk. Until then the current one goes on growing.
#include "admin/journal_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"

enum {
    FILE_MAX = 8 << 20,      // bytes; one record may be longer
    FILE_MORE = 1 << 20,     // how much later it is tried again
    UNSYNCED_KEEP = 1 << 20, // memory that is kept for the next records
    MAGIC = 13
};
static const char *const names[JOURNAL_FILES] = {"journal", "journal.1"};
static const char aside[] = "journal.new";
static const char magic[MAGIC + 1] = "cm-journal 1\n";

const char *journal_disk_name(enum journal_file file)
{
    return names[file];
}

void journal_disk_init(struct journal_disk *d)
{
    *d = (struct journal_disk){
        .dir = {.fd = -1}, .fd = {-1, -1}, .rotate_at = FILE_MAX, .syncing = -1};
}

void journal_disk_fini(struct journal_disk *d)
{
    for (size_t i = 0; i < JOURNAL_FILES; i++)
        if (d->fd[i] >= 0)
            close(d->fd[i]);
    state_dir_close(&d->dir);
    buf_fini(&d->unsynced);
}

// --- reading

bool journal_disk_open(struct journal_disk *d, enum journal_file file)
{
    int fd = state_dir_edit(&d->dir, names[file], false);
    d->fd[file] = fd < 0 ? -1 : fd;
    errno = fd < 0 ? -fd : 0;
    return fd >= 0 || errno == ENOENT;
}

bool journal_disk_read(const struct journal_disk *d, enum journal_file file, uint64_t at, char *out,
                       size_t len)
{
    while (len > 0) {
        ssize_t n = pread(d->fd[file], out, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        out += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

bool journal_disk_load(struct journal_disk *d, enum journal_file file, struct buf *out)
{
    struct stat st;
    buf_clear(out);
    if (fstat(d->fd[file], &st) != 0)
        return false;
    size_t size = (size_t)st.st_size;
    if (size < MAGIC)
        return true;
    buf_reserve(out, size);
    if (!journal_disk_read(d, file, 0, out->ptr, size))
        return false;
    errno = 0;
    out->len = memcmp(out->ptr, magic, MAGIC) == 0 ? size : 0;
    return out->len > 0;
}

struct slice journal_disk_records(const struct buf *loaded)
{
    return loaded->len == 0 ? SLICE_NONE : slice_skip(buf_slice(loaded), MAGIC);
}

bool journal_disk_end_at(struct journal_disk *d, uint64_t size)
{
    d->size = size;
    return ftruncate(d->fd[JOURNAL_CURRENT], (off_t)size) == 0;
}

// --- appending

void journal_disk_set_error(struct journal_disk *d, int error)
{
    if (error != 0 && error != d->error)
        LOG_ERROR("journal_not_written", LOG_CSTR("why", strerror(error)),
                  LOG_CSTR("hint", "no write is taken until it can be: look at CM_STATE_DIR"));
    if (error == 0 && d->error != 0)
        LOG_INFO("journal_written_again", LOG_U64("bytes", d->size));
    if (error == 0)
        d->wanted = 0;
    d->error = error;
}

static bool write_all(int fd, uint64_t at, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.ptr, bytes.len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (uint64_t)n;
        bytes = slice_skip(bytes, (size_t)n);
    }
    return true;
}

static void cut(const struct journal_disk *d)
{
    int error = errno;
    if (ftruncate(d->fd[JOURNAL_CURRENT], (off_t)d->size) != 0)
        LOG_ERROR("journal_not_cut", LOG_CSTR("why", strerror(errno)));
    errno = error;
}

bool journal_disk_append(struct journal_disk *d, struct slice bytes, uint64_t *at)
{
    *at = d->size;
    if (!write_all(d->fd[JOURNAL_CURRENT], d->size, bytes)) {
        cut(d);
        journal_disk_set_error(d, errno);
        if (bytes.len > d->wanted)
            d->wanted = bytes.len;
        return false;
    }
    buf_append_slice(&d->unsynced, bytes);
    d->size += bytes.len;
    return true;
}

bool journal_disk_has_room(struct journal_disk *d)
{
    char *bytes = xcalloc(1, d->wanted + 1);
    bool good = write_all(d->fd[JOURNAL_CURRENT], d->size, slice_make(bytes, d->wanted + 1));
    cut(d);
    free(bytes);
    return good;
}

// --- syncing

static void forget_synced(struct journal_disk *d, size_t bytes)
{
    d->unsynced.len -= bytes;
    if (d->unsynced.len > 0)
        memmove(d->unsynced.ptr, d->unsynced.ptr + bytes, d->unsynced.len);
    else if (d->unsynced.cap > UNSYNCED_KEEP)
        buf_fini(&d->unsynced);
}

static bool write_again(const struct journal_disk *d)
{
    return write_all(d->fd[JOURNAL_CURRENT], d->size - d->unsynced.len, buf_slice(&d->unsynced));
}

bool journal_disk_sync(struct journal_disk *d)
{
    bool good = (!d->sync_failed || write_again(d)) &&
                (d->unsynced.len == 0 || fdatasync(d->fd[JOURNAL_CURRENT]) == 0) &&
                (!d->names_unsynced || fsync(d->dir.fd) == 0);
    d->sync_failed = !good;
    if (!good) {
        journal_disk_set_error(d, errno);
        return false;
    }
    d->names_unsynced = false;
    if (d->syncing < 0) // else that thread may have been told of a failure in our place
        forget_synced(d, d->unsynced.len);
    return true;
}

int journal_disk_sync_begin(struct journal_disk *d)
{
    CM_ASSERT(d->syncing < 0);
    d->syncing = d->fd[JOURNAL_CURRENT];
    d->syncing_bytes = d->unsynced.len;
    return d->syncing;
}

bool journal_disk_sync_end(struct journal_disk *d, int error)
{
    CM_ASSERT(d->syncing >= 0);
    d->syncing = -1;
    if (error != 0) {
        journal_disk_set_error(d, error);
        d->sync_failed = true;
    }
    if (!d->sync_failed) // nor did one of ours meanwhile, which it was not told of
        forget_synced(d, d->syncing_bytes);
    return !d->sync_failed;
}

// --- the next file

static int close_with_error(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

// On disk, but without its name yet. Its descriptor, or -1 with errno set.
static int make_file(const struct journal_disk *d, struct slice records)
{
    int fd = state_dir_edit(&d->dir, aside, true);
    if (fd < 0) {
        errno = -fd;
        return -1;
    }
    bool good = ftruncate(fd, 0) == 0 && write_all(fd, 0, slice_make(magic, MAGIC)) &&
                write_all(fd, MAGIC, records) && fdatasync(fd) == 0;
    return good ? fd : close_with_error(fd);
}

static bool rename_file(const struct journal_disk *d, const char *from, const char *to)
{
    return renameat(d->dir.fd, from, d->dir.fd, to) == 0;
}

// The file that was made aside is the current one from now on.
static void adopt(struct journal_disk *d, int fd, struct slice records)
{
    d->fd[JOURNAL_CURRENT] = fd;
    d->size = MAGIC + records.len;
    d->rotate_at = FILE_MAX;
    d->names_unsynced = true;
}

bool journal_disk_begin(struct journal_disk *d, struct slice records)
{
    int fd = make_file(d, records);
    if (fd < 0)
        return false;
    if (!rename_file(d, aside, names[JOURNAL_CURRENT])) {
        (void)close_with_error(fd);
        return false;
    }
    if (d->fd[JOURNAL_CURRENT] >= 0)
        close(d->fd[JOURNAL_CURRENT]);
    adopt(d, fd, records);
    return journal_disk_sync(d);
}

// Where the current one has no name, an earlier attempt came as far as that.
static bool exchange(struct journal_disk *d, struct slice records)
{
    const char *current = names[JOURNAL_CURRENT], *previous = names[JOURNAL_PREVIOUS];
    int fd = journal_disk_sync(d) ? make_file(d, records) : -1;
    if (fd < 0)
        return false;
    if ((!rename_file(d, current, previous) && errno != ENOENT) ||
        !rename_file(d, aside, current)) {
        (void)close_with_error(fd);
        return false;
    }
    if (d->fd[JOURNAL_PREVIOUS] >= 0)
        close(d->fd[JOURNAL_PREVIOUS]);
    d->fd[JOURNAL_PREVIOUS] = d->fd[JOURNAL_CURRENT];
    adopt(d, fd, records);
    return true;
}

// A sync that is under way has the file's descriptor.
bool journal_disk_is_full(const struct journal_disk *d)
{
    return d->size >= d->rotate_at && d->syncing < 0;
}

bool journal_disk_rotate(struct journal_disk *d, struct slice records)
{
    if (exchange(d, records)) {
        (void)!journal_disk_sync(d); // of the names; what follows needs it, and finds out
        return true;
    }
    LOG_ERROR("journal_not_rotated", LOG_CSTR("why", strerror(errno)));
    d->rotate_at = d->size + FILE_MORE;
    return false;
}
