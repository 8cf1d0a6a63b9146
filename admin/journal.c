// SPDX-License-Identifier: Apache-2.0
// Two files: "journal" grows, and becomes "journal.1" when it is full, in place of
// the one before. A record is its length, its kind, its bytes and a digest of
// these, so that the end of a file that a crash left behind is seen for what it
// is; everything before it is good, because nothing is ever overwritten.
//
//   S  store    prefix and database that it is about, first in each file
//   N  note     epoch, revision, change, parents
//   I  intent   epoch, revision, change, previous change, image
//   D  done     change
//   V  void     change
//
// An intent is written before the script is sent, so a crash of this process loses
// nothing of it; intent and "done" are synced to the disk before the client is
// answered, for all writes of that moment together (journal_sync.c). So whatever was
// answered is here as done, whatever happens to the machine, and of what is only
// intended, or lost with the machine's memory, the client has heard nothing.
//
// A sync that failed is no reason to sync again: Linux reports it once and takes the
// pages for clean, so the next one "succeeds" without them, and by then they may be
// in the file before. Both files are written anew, under "journal.new" until they are
// synced, before anything else is written.
#include "admin/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/state_dir.h"
#include "common/model/sha256.h"

enum {
    FILE_MAX = 8 << 20, // bytes; one record may be longer
    RECORD_MAX = 1 << 30,
    FRAME = 5, // length and kind, before the bytes
    SUM = 16,  // of the digest, after them
    NUMBER = 8
};
enum { CURRENT, PREVIOUS, FILES };
static const char *const names[FILES] = {"journal", "journal.1"};
static const char fresh_name[] = "journal.new";
static const char magic[] = "cm-journal 1\n";

struct journal {
    struct state_dir dir;
    int lock_fd, fd[FILES];
    const char *store;
    bool named;    // a record says that it is of our store,
    bool foreign;  // or of another one
    uint64_t size; // of the current file
    bool behind;   // something was written and not synced
    bool failed;   // a sync failed: nothing is written before the files are written anew
    struct journal_entry *entries;
    size_t count, room;
    struct head position;
    uint64_t highest;
};

// --- numbers

static void put_u64(struct buf *b, uint64_t n)
{
    for (int shift = 0; shift < 64; shift += 8)
        buf_append_char(b, (char)((n >> shift) & 0xff));
}

static bool take_u64(struct slice *rest, uint64_t *n)
{
    if (rest->len < NUMBER)
        return false;
    *n = 0;
    for (size_t i = 0; i < NUMBER; i++)
        *n |= (uint64_t)(unsigned char)rest->ptr[i] << (8 * i);
    *rest = slice_skip(*rest, NUMBER);
    return true;
}

static void put_parents(struct buf *b, const struct head *h)
{
    put_u64(b, h->parent_count);
    for (size_t i = 0; i < h->parent_count; i++)
        put_u64(b, h->parents[i]);
}

static bool take_parents(struct slice *rest, struct head *h)
{
    uint64_t count;
    if (!take_u64(rest, &count) || count > HEAD_PARENTS_MAX)
        return false;
    h->parent_count = (size_t)count;
    for (size_t i = 0; i < count; i++)
        if (!take_u64(rest, &h->parents[i]))
            return false;
    return true;
}

// --- what is known

static void learn_position(struct journal *j, const struct head *h)
{
    j->position = *h;
    if (h->revision > j->highest)
        j->highest = h->revision;
}

static struct journal_entry *find(struct journal *j, uint64_t change)
{
    for (size_t i = j->count; i-- > 0;)
        if (j->entries[i].change == change)
            return &j->entries[i];
    return NULL;
}

static void add_entry(struct journal *j, const struct journal_entry *e)
{
    if (j->count == j->room) {
        j->room = j->room == 0 ? 256 : 2 * j->room;
        j->entries = xrealloc(j->entries, j->room * sizeof(*j->entries));
    }
    j->entries[j->count++] = *e;
    if (e->revision > j->highest)
        j->highest = e->revision;
}

// What a record says, when it is read back as well as when it was just written.
static bool learn(struct journal *j, unsigned file, uint64_t at, char kind, struct slice bytes)
{
    struct slice rest = bytes;
    struct head h = {.format = HEAD_FORMAT};
    struct journal_entry e = {.state = JOURNAL_INTENDED, .file = file}, *known;
    uint64_t change;
    switch (kind) {
    case 'S':
        j->named = true;
        j->foreign = j->foreign || !slice_equal(bytes, slice_of(j->store));
        return true;
    case 'N':
        if (!take_u64(&rest, &h.epoch) || !take_u64(&rest, &h.revision) ||
            !take_u64(&rest, &h.change) || !take_parents(&rest, &h))
            return false;
        learn_position(j, &h);
        return true;
    case 'I':
        if (!take_u64(&rest, &e.epoch) || !take_u64(&rest, &e.revision) ||
            !take_u64(&rest, &e.change) || !take_u64(&rest, &e.previous))
            return false;
        e.at = at + (bytes.len - rest.len);
        e.len = rest.len;
        add_entry(j, &e);
        return true;
    case 'D':
    case 'V':
        if (!take_u64(&rest, &change))
            return false;
        known = find(j, change);
        if (known != NULL) // it may have gone with an older file
            known->state = kind == 'D' ? JOURNAL_DONE : JOURNAL_VOID;
        return true;
    default:
        return false;
    }
}

// --- reading

static void sum_of(char kind, struct slice bytes, unsigned char out[SUM])
{
    const struct slice parts[] = {slice_make(&kind, 1), bytes};
    unsigned char digest[SHA256_LEN];
    sha256_parts(parts, CM_ARRAY_LEN(parts), digest);
    memcpy(out, digest, SUM);
}

static bool read_at(int fd, uint64_t at, char *out, size_t len)
{
    while (len > 0) {
        ssize_t n = pread(fd, out, len, (off_t)at);
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

// The record at *at: false at the end of what is good.
static bool read_record(struct journal *j, unsigned file, uint64_t *at, uint64_t size)
{
    unsigned char frame[FRAME], sum[SUM], want[SUM];
    if (size - *at < FRAME + SUM || !read_at(j->fd[file], *at, (char *)frame, FRAME))
        return false;
    size_t len = frame[0] | (size_t)frame[1] << 8 | (size_t)frame[2] << 16 | (size_t)frame[3] << 24;
    if (len > RECORD_MAX || size - *at - FRAME - SUM < len)
        return false;
    char *bytes = xmalloc(len);
    bool good = read_at(j->fd[file], *at + FRAME, bytes, len) &&
                read_at(j->fd[file], *at + FRAME + len, (char *)sum, SUM);
    if (good) {
        sum_of((char)frame[4], slice_make(bytes, len), want);
        good = memcmp(sum, want, SUM) == 0 &&
               learn(j, file, *at + FRAME, (char)frame[4], slice_make(bytes, len));
    }
    free(bytes);
    *at += good ? FRAME + len + SUM : 0;
    return good;
}

static bool read_file(struct journal *j, unsigned file, struct buf *why)
{
    struct stat st;
    char head[sizeof(magic) - 1];
    uint64_t at = sizeof(head);
    if (fstat(j->fd[file], &st) != 0)
        return false;
    uint64_t size = (uint64_t)st.st_size;
    if (size >= sizeof(head) &&
        (!read_at(j->fd[file], 0, head, sizeof(head)) || memcmp(head, magic, sizeof(head)) != 0)) {
        buf_printf(why, "%s is no journal of ours", names[file]);
        return false;
    }
    while (at < size && read_record(j, file, &at, size))
        continue;
    if (at < size)
        LOG_WARN("journal_cut", LOG_CSTR("file", names[file]), LOG_U64("bytes", size - at),
                 LOG_CSTR("hint", "the end of a write that a crash cut, or a bad disk"));
    if (file == CURRENT) {
        if (size > at && ftruncate(j->fd[file], (off_t)at) != 0)
            return false;
        j->size = size < sizeof(head) ? 0 : at;
    }
    return true;
}

// --- writing

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

// Written, or not there.
static bool append(struct journal *j, char kind, struct slice bytes)
{
    struct buf record = {.len = 0};
    unsigned char sum[SUM];
    uint64_t at = j->size;
    CM_ASSERT(bytes.len <= RECORD_MAX);
    for (int shift = 0; shift < 32; shift += 8)
        buf_append_char(&record, (char)((bytes.len >> shift) & 0xff));
    buf_append_char(&record, kind);
    buf_append_slice(&record, bytes);
    sum_of(kind, bytes, sum);
    buf_append(&record, sum, SUM);
    bool good = write_all(j->fd[CURRENT], at, buf_slice(&record));
    j->behind = j->behind || good;
    if (good) {
        j->size += record.len;
        good = learn(j, CURRENT, at + FRAME, kind, bytes);
        CM_ASSERT(good);
    } else {
        LOG_ERROR("journal_not_written", LOG_CSTR("why", strerror(errno)));
        if (ftruncate(j->fd[CURRENT], (off_t)at) != 0)
            LOG_ERROR("journal_not_cut", LOG_CSTR("why", strerror(errno)));
    }
    buf_fini(&record);
    return good;
}

static bool sync_now(struct journal *j)
{
    if (j->behind && fdatasync(j->fd[CURRENT]) != 0) {
        LOG_ERROR("journal_not_synced", LOG_CSTR("why", strerror(errno)));
        j->failed = true;
        return false;
    }
    j->behind = false;
    return true;
}

static bool copy_bytes(int from, int to)
{
    char bytes[64 * 1024];
    ssize_t n;
    for (uint64_t at = 0; (n = pread(from, bytes, sizeof(bytes), (off_t)at)) > 0; at += (uint64_t)n)
        if (!write_all(to, at, slice_make(bytes, (size_t)n)))
            return false;
    return n == 0;
}

static bool renew_file(struct journal *j, unsigned file)
{
    if (j->fd[file] < 0)
        return true;
    int fd = state_dir_edit(&j->dir, fresh_name, true);
    errno = fd < 0 ? -fd : errno;
    if (fd < 0)
        return false;
    if (ftruncate(fd, 0) != 0 || !copy_bytes(j->fd[file], fd) || fdatasync(fd) != 0 ||
        renameat(j->dir.fd, fresh_name, j->dir.fd, names[file]) != 0) {
        close(fd);
        return false;
    }
    close(j->fd[file]);
    j->fd[file] = fd;
    return true;
}

static bool renew(struct journal *j)
{
    if (!renew_file(j, PREVIOUS) || !renew_file(j, CURRENT) || fsync(j->dir.fd) != 0) {
        LOG_ERROR("journal_not_renewed", LOG_CSTR("why", strerror(errno)));
        return false;
    }
    LOG_WARN("journal_renewed", LOG_CSTR("why", "a sync had failed"));
    j->behind = j->failed = false;
    return true;
}

// False with errno set.
static bool open_file(struct journal *j, unsigned file, bool make)
{
    int fd = state_dir_edit(&j->dir, names[file], make);
    j->fd[file] = fd < 0 ? -1 : fd;
    errno = fd < 0 ? -fd : errno;
    return fd >= 0;
}

static bool begin_file(struct journal *j)
{
    bool good = ftruncate(j->fd[CURRENT], 0) == 0 &&
                write_all(j->fd[CURRENT], 0, slice_make(magic, sizeof(magic) - 1));
    j->size = sizeof(magic) - 1;
    return good && append(j, 'S', slice_of(j->store)) && sync_now(j) && fsync(j->dir.fd) == 0;
}

// The entries of the file that goes are forgotten.
static void shift_entries(struct journal *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->count; i++) {
        struct journal_entry e = j->entries[i];
        if (e.file == PREVIOUS)
            continue;
        e.file = PREVIOUS;
        j->entries[kept++] = e;
    }
    j->count = kept;
}

// What is intended and not settled is in the file before, then.
static bool rotate(struct journal *j)
{
    struct head position = j->position;
    if (!sync_now(j) || renameat(j->dir.fd, names[CURRENT], j->dir.fd, names[PREVIOUS]) != 0)
        return false;
    if (j->fd[PREVIOUS] >= 0)
        close(j->fd[PREVIOUS]);
    j->fd[PREVIOUS] = j->fd[CURRENT];
    shift_entries(j);
    if (open_file(j, CURRENT, true) && begin_file(j) && journal_note(j, &position))
        return true;
    LOG_ERROR("journal_not_rotated", LOG_CSTR("why", strerror(errno)));
    return false;
}

bool journal_note(struct journal *j, const struct head *head)
{
    struct buf bytes = {.len = 0};
    put_u64(&bytes, head->epoch);
    put_u64(&bytes, head->revision);
    put_u64(&bytes, head->change);
    put_parents(&bytes, head);
    bool good = append(j, 'N', buf_slice(&bytes)) && sync_now(j);
    buf_fini(&bytes);
    return good;
}

bool journal_intend(struct journal *j, const struct journal_entry *entry, struct slice image)
{
    struct buf bytes = {.len = 0};
    if (j->failed && !renew(j))
        return false;
    if (j->size > FILE_MAX && !rotate(j))
        return false;
    put_u64(&bytes, entry->epoch);
    put_u64(&bytes, entry->revision);
    put_u64(&bytes, entry->change);
    put_u64(&bytes, entry->previous);
    buf_append_slice(&bytes, image);
    bool good = append(j, 'I', buf_slice(&bytes));
    buf_fini(&bytes);
    return good;
}

void journal_settle(struct journal *j, uint64_t change, enum journal_state state)
{
    struct buf bytes = {.len = 0};
    struct journal_entry *e = find(j, change);
    CM_ASSERT(state != JOURNAL_INTENDED);
    if (e == NULL || e->state == state)
        return;
    put_u64(&bytes, change);
    if (!append(j, state == JOURNAL_DONE ? 'D' : 'V', buf_slice(&bytes)))
        e->state = state;
    buf_fini(&bytes);
}

int journal_sync_begin(struct journal *j)
{
    int fd = fcntl(j->fd[CURRENT], F_DUPFD_CLOEXEC, 0);
    j->behind = j->behind && fd < 0;
    return fd;
}

void journal_sync_failed(struct journal *j)
{
    j->behind = true;
    j->failed = true;
}

// --- asking

bool journal_is_empty(const struct journal *j)
{
    return j->position.epoch == 0 && j->count == 0;
}

struct head journal_position(const struct journal *j)
{
    struct head position = j->position;
    const struct journal_entry *tip = journal_tip(j);
    if (tip != NULL && tip->epoch == position.epoch && tip->revision > position.revision) {
        position.revision = tip->revision;
        position.change = tip->change;
    }
    return position;
}

size_t journal_count(const struct journal *j)
{
    return j->count;
}

const struct journal_entry *journal_at(const struct journal *j, size_t i)
{
    CM_ASSERT(i < j->count);
    return &j->entries[i];
}

const struct journal_entry *journal_tip(const struct journal *j)
{
    for (size_t i = j->count; i-- > 0;)
        if (j->entries[i].state == JOURNAL_DONE)
            return &j->entries[i];
    return NULL;
}

uint64_t journal_highest(const struct journal *j)
{
    return j->highest;
}

bool journal_image(const struct journal *j, size_t i, struct buf *out)
{
    const struct journal_entry *e = journal_at(j, i);
    buf_clear(out);
    buf_reserve(out, e->len + 1);
    if (!read_at(j->fd[e->file], e->at, out->ptr, e->len))
        return false;
    out->len = e->len;
    return true;
}

// --- opening

static const char *reason_of(int error)
{
    switch (error) {
    case EPERM:
        return "it must be ours, and no other user may write to it";
    case ELOOP:
        return "it is no directory";
    default:
        return strerror(error);
    }
}

static bool open_dir(struct journal *j, const char *path, struct buf *why)
{
    int error = state_dir_open(&j->dir, path);
    if (error == 0)
        j->lock_fd = state_dir_lock(&j->dir, "lock");
    if (error == 0 && j->lock_fd >= 0)
        return true;
    if (error == 0 && j->lock_fd == -EWOULDBLOCK)
        buf_append_str(why, "another process has it; each admin needs a directory of its own");
    else
        buf_append_str(why, reason_of(error != 0 ? -error : -j->lock_fd));
    return false;
}

static bool check_store(const struct journal *j, struct buf *why)
{
    if (j->foreign)
        buf_append_str(why, "it is the journal of another prefix or database: name another "
                            "directory, or put CM_REDIS_PREFIX and CM_REDIS_URL right");
    return !j->foreign;
}

static bool open_files(struct journal *j, struct buf *why)
{
    if (open_file(j, PREVIOUS, false) ? !read_file(j, PREVIOUS, why) : errno != ENOENT)
        return false;
    if (!open_file(j, CURRENT, true) || !read_file(j, CURRENT, why) || !check_store(j, why))
        return false;
    if (j->size == 0)
        return begin_file(j);
    return j->named || (append(j, 'S', slice_of(j->store)) && sync_now(j));
}

struct journal *journal_open(const char *dir, const char *store, struct buf *why)
{
    struct journal *j = xcalloc(1, sizeof(*j));
    j->dir.fd = j->lock_fd = j->fd[CURRENT] = j->fd[PREVIOUS] = -1;
    j->store = store;
    if (open_dir(j, dir, why) && open_files(j, why))
        return j;
    if (why->len == 0)
        buf_append_str(why, reason_of(errno));
    journal_close(j);
    return NULL;
}

void journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    for (size_t i = 0; i < FILES; i++)
        if (j->fd[i] >= 0)
            close(j->fd[i]);
    if (j->lock_fd >= 0)
        close(j->lock_fd);
    state_dir_close(&j->dir);
    free(j->entries);
    free(j);
}
