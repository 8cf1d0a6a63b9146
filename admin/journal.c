// SPDX-License-Identifier: Apache-2.0
// Two files: "journal" grows, and becomes "journal.1" when it is full, in place of
// the one before. Nothing is ever overwritten. Their records (journal_record.c):
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
// While the disk is full or broken no intent is taken, so no script is sent. The outcome
// of one that had left is owed then: it is written before anything else. A record that the
// disk gave back otherwise is skipped, each time the file is read, what a crash cut at the
// end is cut off (nobody was answered). As who was done before what was done is done as
// well, a lost "done" costs nothing as soon as there is a next one.
#include "admin/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/journal_disk.h"
#include "admin/journal_record.h"
#include "common/base/log.h"
#include "common/base/state_dir.h"

enum {
    HEAL_EVERY_MS = 1000, // while it cannot be written
    NUMBER = 8,
    INTENT = 4 * NUMBER // of an intent, before the image
};

struct journal {
    struct journal_disk disk;
    int lock_fd;
    const char *store;
    bool named;   // a record says that it is of our store,
    bool foreign; // or of another one
    bool owes;    // entries have an outcome that is not written
    uint64_t heal_at_ms;
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

// A commit is made on the head that it was planned on, or not at all: where one is done,
// the one before it was.
static void learn_done(struct journal *j, struct journal_entry *e)
{
    uint64_t previous = e->previous;
    e->state = JOURNAL_DONE;
    while (e > j->entries && (--e)->state != JOURNAL_DONE)
        if (e->state == JOURNAL_INTENDED && e->change == previous) {
            e->state = JOURNAL_DONE;
            previous = e->previous;
        }
}

// What a record says, when it is read back as well as when it was just written.
static bool learn(struct journal *j, enum journal_file file, uint64_t at, char kind,
                  struct slice bytes)
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
        known = find(j, change); // NULL: it has gone with an older file
        if (known != NULL && kind == 'D')
            learn_done(j, known);
        else if (known != NULL)
            known->state = JOURNAL_VOID;
        return true;
    default:
        return false;
    }
}

// --- reading

// Learns all that is good, and gives back where that ends.
static size_t read_records(struct journal *j, enum journal_file file, const struct buf *bytes)
{
    struct slice rest = journal_disk_records(bytes);
    for (;;) {
        struct journal_record r;
        while (journal_record_take(&rest, &r))
            if (!learn(j, file, (uint64_t)(r.bytes.ptr - bytes->ptr), r.kind, r.bytes))
                LOG_ERROR("journal_not_understood", LOG_CSTR("file", journal_disk_name(file)));
        const char *bad = rest.ptr;
        if (!journal_record_seek(&rest))
            return (size_t)(bad - bytes->ptr);
        LOG_ERROR("journal_damaged", LOG_CSTR("file", journal_disk_name(file)),
                  LOG_U64("at", (uint64_t)(bad - bytes->ptr)),
                  LOG_U64("bytes", (uint64_t)(rest.ptr - bad)),
                  LOG_CSTR("hint", "a bad disk: what was written there is skipped"));
    }
}

static bool read_file(struct journal *j, enum journal_file file, struct buf *why)
{
    struct buf bytes = {.len = 0};
    if (!journal_disk_open(&j->disk, file))
        return false;
    if (j->disk.fd[file] < 0) // there is none
        return true;
    bool ours = journal_disk_load(&j->disk, file, &bytes);
    size_t size = bytes.len, good = ours && size > 0 ? read_records(j, file, &bytes) : 0;
    buf_fini(&bytes);
    if (!ours && errno == 0)
        buf_printf(why, "%s is no journal of ours", journal_disk_name(file));
    if (good < size)
        LOG_WARN("journal_cut", LOG_CSTR("file", journal_disk_name(file)),
                 LOG_U64("bytes", size - good),
                 LOG_CSTR("hint", "the end of a write that a crash cut, or a bad disk"));
    return ours && (file != JOURNAL_CURRENT || journal_disk_end_at(&j->disk, good));
}

// --- writing

// Written, or not there.
static bool append(struct journal *j, char kind, struct slice bytes)
{
    struct buf record = {.len = 0};
    uint64_t at;
    journal_record_put(&record, kind, bytes);
    bool good = journal_disk_append(&j->disk, buf_slice(&record), &at);
    if (good) {
        good = learn(j, JOURNAL_CURRENT, at + JOURNAL_RECORD_FRAME, kind, bytes);
        CM_ASSERT(good);
    }
    buf_fini(&record);
    return good;
}

static bool append_outcome(struct journal *j, const struct journal_entry *e,
                           enum journal_state state)
{
    struct buf bytes = {.len = 0};
    put_u64(&bytes, e->change);
    bool good = append(j, state == JOURNAL_DONE ? 'D' : 'V', buf_slice(&bytes));
    buf_fini(&bytes);
    return good;
}

// What has to come before anything else that is written.
static bool catch_up(struct journal *j)
{
    if (j->disk.sync_failed && !journal_disk_sync(&j->disk))
        return false;
    for (size_t i = 0; j->owes && i < j->count; i++) {
        struct journal_entry *e = &j->entries[i];
        if (e->owed && !append_outcome(j, e, e->state))
            return false;
        e->owed = false;
    }
    j->owes = false;
    return true;
}

static void put_note(struct buf *out, const struct head *head)
{
    put_u64(out, head->epoch);
    put_u64(out, head->revision);
    put_u64(out, head->change);
    put_parents(out, head);
}

// What each file begins with.
static void put_beginning(struct buf *out, const struct journal *j)
{
    struct buf note = {.len = 0};
    put_note(&note, &j->position);
    journal_record_put(out, 'S', slice_of(j->store));
    if (j->position.epoch != 0)
        journal_record_put(out, 'N', buf_slice(&note));
    buf_fini(&note);
}

// The entries of the file that goes are forgotten.
static void shift_entries(struct journal *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->count; i++) {
        struct journal_entry e = j->entries[i];
        if (e.file == JOURNAL_PREVIOUS)
            continue;
        e.file = JOURNAL_PREVIOUS;
        j->entries[kept++] = e;
    }
    j->count = kept;
}

static bool is_open(const struct journal *j, enum journal_file file)
{
    for (size_t i = 0; i < j->count; i++)
        if (j->entries[i].file == file && j->entries[i].state == JOURNAL_INTENDED)
            return true;
    return false;
}

// Not while it is open what became of a write whose intent would go.
static void rotate_if_full(struct journal *j)
{
    struct buf beginning = {.len = 0};
    if (!journal_disk_is_full(&j->disk) || is_open(j, JOURNAL_PREVIOUS))
        return;
    put_beginning(&beginning, j);
    if (journal_disk_rotate(&j->disk, buf_slice(&beginning)))
        shift_entries(j);
    buf_fini(&beginning);
}

bool journal_note(struct journal *j, const struct head *head)
{
    struct buf bytes = {.len = 0};
    put_note(&bytes, head);
    bool good = append(j, 'N', buf_slice(&bytes)) && journal_disk_sync(&j->disk);
    buf_fini(&bytes);
    return good;
}

bool journal_intend(struct journal *j, const struct journal_entry *entry, struct slice image)
{
    struct buf bytes = {.len = 0};
    if (!catch_up(j))
        return false;
    rotate_if_full(j);
    put_u64(&bytes, entry->epoch);
    put_u64(&bytes, entry->revision);
    put_u64(&bytes, entry->change);
    put_u64(&bytes, entry->previous);
    buf_append_slice(&bytes, image);
    bool good = !j->disk.sync_failed && append(j, 'I', buf_slice(&bytes));
    if (good)
        journal_disk_set_error(&j->disk, 0);
    buf_fini(&bytes);
    return good;
}

void journal_settle(struct journal *j, uint64_t change, enum journal_state state)
{
    struct journal_entry *e = find(j, change);
    CM_ASSERT(state != JOURNAL_INTENDED);
    if (e == NULL || e->state == state || append_outcome(j, e, state))
        return;
    e->state = state;
    e->owed = j->owes = true;
}

int journal_sync_begin(struct journal *j)
{
    if (!catch_up(j))
        return -1;
    rotate_if_full(j);
    return j->disk.sync_failed ? -1 : journal_disk_sync_begin(&j->disk);
}

bool journal_sync_end(struct journal *j, int error)
{
    return journal_disk_sync_end(&j->disk, error);
}

void journal_heal(struct journal *j, uint64_t now_ms)
{
    if (j->disk.error == 0 || now_ms < j->heal_at_ms)
        return;
    j->heal_at_ms = now_ms + HEAL_EVERY_MS;
    if (catch_up(j) && journal_disk_has_room(&j->disk))
        journal_disk_set_error(&j->disk, 0);
}

const char *journal_error(const struct journal *j)
{
    return j->disk.error == 0 ? NULL : strerror(j->disk.error);
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
    enum { FRAMED = JOURNAL_RECORD_FRAME + INTENT + JOURNAL_RECORD_SUM };
    const struct journal_entry *e = journal_at(j, i);
    struct buf record = {.len = 0};
    struct journal_record r;
    buf_clear(out);
    buf_reserve(&record, FRAMED + e->len);
    bool good = journal_disk_read(&j->disk, e->file, e->at - INTENT - JOURNAL_RECORD_FRAME,
                                  record.ptr, FRAMED + e->len);
    struct slice rest = slice_make(record.ptr, FRAMED + e->len);
    good = good && journal_record_take(&rest, &r) && r.bytes.len == INTENT + e->len;
    if (good)
        buf_append_slice(out, slice_skip(r.bytes, INTENT));
    buf_fini(&record);
    return good;
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
    int error = state_dir_open(&j->disk.dir, path);
    if (error == 0)
        j->lock_fd = state_dir_lock(&j->disk.dir, "lock");
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

static bool begin_first(struct journal *j)
{
    struct buf beginning = {.len = 0};
    put_beginning(&beginning, j);
    bool good = journal_disk_begin(&j->disk, buf_slice(&beginning));
    buf_fini(&beginning);
    return good;
}

static bool open_files(struct journal *j, struct buf *why)
{
    if (!read_file(j, JOURNAL_PREVIOUS, why) || !read_file(j, JOURNAL_CURRENT, why) ||
        !check_store(j, why))
        return false;
    if (j->disk.size == 0)
        return begin_first(j);
    return j->named || (append(j, 'S', slice_of(j->store)) && journal_disk_sync(&j->disk));
}

struct journal *journal_open(const char *dir, const char *store, struct buf *why)
{
    struct journal *j = xcalloc(1, sizeof(*j));
    journal_disk_init(&j->disk);
    j->lock_fd = -1;
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
    if (j->lock_fd >= 0)
        close(j->lock_fd);
    journal_disk_fini(&j->disk);
    free(j->entries);
    free(j);
}
