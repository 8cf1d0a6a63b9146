// SPDX-License-Identifier: Apache-2.0
// The catalog is the newest generation that is whole. It may be older than the
// diaries: those go on with every key that changes, the catalog only when a model
// does. So where a diary has been further in the same epoch with the same models,
// the diary's position is taken, and the log is followed from there.
//
// Every slot's diary is read, because workers share the keys among them as the
// kernel shares the connections, and there may be fewer slots than there were. The
// one that was confirmed last comes last, so that its word counts. A key that
// our own slot's diary has stays in it, also where another's word counts. A key whose
// record is newer than the catalog must be read before it is used.
//
// Without a catalog nothing says of which history the keys are: another one counts
// its revisions from 0 again, and an old refusal would outlive every permission of
// it. So they are of no use, and nobody can be served before the store is read anyway.
//
// A file of another prefix, database or format is somebody else's: nothing of this
// directory is written then. A damaged one is passed over and replaced later.
#include "services/state_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "services/key_diary.h"
#include "services/snapshot.h"

enum { DIARY_MAX = 1 << 30 };

static const char diary_prefix[] = "keys-";

void state_diary_name(unsigned slot, char out[STATE_NAME_MAX])
{
    snprintf(out, STATE_NAME_MAX, "%s%u", diary_prefix, slot);
}

void state_diary_lock_name(unsigned slot, char out[STATE_NAME_MAX])
{
    snprintf(out, STATE_NAME_MAX, "lock-%s%u", diary_prefix, slot);
}

static void refuse(const char *name, const char *why)
{
    LOG_ERROR("state_file_refused", LOG_CSTR("file", name), LOG_CSTR("why", why));
}

// False: there is none, or it cannot be read (which is logged).
static bool read_file(const struct state_load *what, const char *name, size_t max, struct buf *out)
{
    int error = state_dir_read(what->dir, name, max, out);
    if (error != 0 && error != -ENOENT)
        refuse(name, strerror(-error));
    return error == 0;
}

// -- the catalog ------------------------------------------------------------

struct catalog_file {
    uint64_t poison; // its name as such
    struct buf bytes;
    struct snapshot_head head;
    struct slice records;
};

static bool is_poison(const struct state_load *what, struct catalog_file *f, const char *name)
{
    const struct buf *b = &f->bytes;
    struct slice sum = slice_skip(buf_slice(b), b->len > 66 ? b->len - 66 : 0);
    f->poison = poison_name(SLICE_LIT("snapshot"), sum);
    if (poison_begin(&what->replica->poison, f->poison))
        return false;
    refuse(name, "it crashed its reader twice");
    return true;
}

// All records must make sense before any of them is used.
static bool are_records(struct slice records)
{
    struct snapshot_record r;
    int got = 1;
    while (got > 0)
        got = snapshot_next(&records, &r);
    return got == 0;
}

static bool open_catalog(const struct state_load *what, const char *name, struct catalog_file *f,
                         bool *foreign)
{
    if (!read_file(what, name, SNAPSHOT_MAX, &f->bytes))
        return false;
    enum snapshot_status status =
        snapshot_open(buf_slice(&f->bytes), what->store, &f->head, &f->records);
    if (status == SNAPSHOT_OK && !are_records(f->records))
        status = SNAPSHOT_DAMAGED;
    if (status == SNAPSHOT_OK)
        return !is_poison(what, f, name);
    refuse(name, snapshot_status_name(status));
    *foreign |= status != SNAPSHOT_DAMAGED;
    return false;
}

// A model that is shown although the store has another record of it, or none, comes
// as the record that is shown and, after all of those, what the store has.
static void take_records(const struct state_load *what, struct slice records)
{
    struct snapshot_record r;
    while (snapshot_next(&records, &r) > 0) {
        if (r.kind == SNAPSHOT_MODEL)
            replica_put(what->replica, false, r.id, r.record);
        else
            replica_restore_refused(what->replica, r.id, r.record, r.kind == SNAPSHOT_GONE);
    }
}

// -- the diaries ------------------------------------------------------------

struct diary_file {
    char name[STATE_NAME_MAX + 4];
    struct buf bytes;
    struct key_diary diary;
};

struct diary_files {
    const struct state_load *what;
    struct state_loaded *loaded;
    struct diary_file *items;
    size_t count;
};

static enum key_diary_status read_diary(struct diary_files *all, const char *name)
{
    all->items = xrealloc(all->items, (all->count + 1) * sizeof(*all->items));
    struct diary_file *f = &all->items[all->count];
    memset(f, 0, sizeof(*f));
    snprintf(f->name, sizeof(f->name), "%s", name);
    if (!read_file(all->what, name, DIARY_MAX, &f->bytes)) {
        buf_fini(&f->bytes);
        return KEY_DIARY_GARBLED;
    }
    enum key_diary_status status =
        key_diary_scan(buf_slice(&f->bytes), all->what->store, &f->diary);
    if (status == KEY_DIARY_OK || status == KEY_DIARY_DAMAGED)
        all->count++;
    else
        buf_fini(&f->bytes);
    if (status != KEY_DIARY_OK)
        refuse(name, key_diary_status_name(status));
    all->loaded->foreign |= status == KEY_DIARY_OTHER_STORE || status == KEY_DIARY_OTHER_FORMAT;
    return status;
}

// Of a diary that is damaged the one before it still has the older refusals.
static void on_diary_name(void *ctx, const char *name)
{
    struct diary_files *all = ctx;
    char own[STATE_NAME_MAX], former[STATE_NAME_MAX + 4];
    uint64_t slot;
    if (!slice_parse_u64(slice_of(name + strlen(diary_prefix)), UINT32_MAX, &slot))
        return; // an older generation, or one that was not finished
    enum key_diary_status status = read_diary(all, name);
    state_diary_name(all->what->slot, own);
    if (status == KEY_DIARY_OK && strcmp(name, own) == 0) {
        all->loaded->diary_is_whole = true;
        all->loaded->diary_size = all->items[all->count - 1].diary.text.len;
    }
    if (status != KEY_DIARY_DAMAGED && status != KEY_DIARY_GARBLED)
        return;
    snprintf(former, sizeof(former), "%s.1", name);
    status = read_diary(all, former);
    if (status == KEY_DIARY_OK)
        all->items[all->count - 1].diary.damaged = true; // the permissions in it are of the past
}

static int by_age(const void *a, const void *b)
{
    const struct key_diary *x = &((const struct diary_file *)a)->diary;
    const struct key_diary *y = &((const struct diary_file *)b)->diary;
    int64_t left = x->has_stamp ? x->stamp.wall_ms : 0, right = y->has_stamp ? y->stamp.wall_ms : 0;
    return (left > right) - (left < right);
}

static bool goes_on_from(const struct feed_position *at, const struct feed_position *from)
{
    return at->epoch == from->epoch && at->revision >= from->revision &&
           at->models == from->models && digest_equal(at->digest, from->digest);
}

// The furthest position that the catalog is right for.
static void advance(const struct diary_files *all, struct snapshot_head *head)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct key_diary *d = &all->items[i].diary;
        if (!d->damaged && goes_on_from(&d->at, &head->at))
            *head = (struct snapshot_head){d->at, d->at_stamp};
    }
}

static int64_t newest_wall(const struct diary_files *all, const struct snapshot_head *head)
{
    int64_t newest = head->confirmed.wall_ms;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].diary.has_stamp && all->items[i].diary.stamp.wall_ms > newest)
            newest = all->items[i].diary.stamp.wall_ms;
    return newest;
}

static void replay_all(const struct diary_files *all, uint64_t revision, int64_t seen_wall_ms)
{
    char own[STATE_NAME_MAX];
    state_diary_name(all->what->slot, own);
    for (size_t i = 0; i < all->count; i++) {
        struct key_diary_replay how = {.revision = revision,
                                       .seen_wall_ms = seen_wall_ms,
                                       .lent = strcmp(all->items[i].name, own) != 0};
        all->loaded->keys += key_diary_replay(&all->items[i].diary, &how, all->what->cache);
    }
}

static void free_diaries(struct diary_files *all)
{
    for (size_t i = 0; i < all->count; i++)
        buf_fini(&all->items[i].bytes);
    free(all->items);
}

// -- all of it --------------------------------------------------------------

// The store's records, so that the feed can sum them up.
static void tell_feed(const struct state_load *what, struct slice records)
{
    struct snapshot_record r;
    struct slice rest = records;
    while (snapshot_next(&rest, &r) > 0)
        if (r.kind == SNAPSHOT_MODEL)
            feed_restore_record(what->feed, r.id, r.record);
    while (snapshot_next(&records, &r) > 0) {
        if (r.kind == SNAPSHOT_REFUSED)
            feed_restore_record(what->feed, r.id, r.record);
        else if (r.kind == SNAPSHOT_GONE)
            feed_restore_gone(what->feed, r.id);
    }
}

static bool restore(const struct state_load *what, const struct catalog_file *f,
                    const struct snapshot_head *head, int64_t seen_wall_ms)
{
    tell_feed(what, f->records);
    if (!feed_restore(what->feed, &head->at, clock_stamp_read(&head->confirmed, seen_wall_ms))) {
        refuse(STATE_CATALOG_NAME, "its records do not sum up");
        return false;
    }
    take_records(what, f->records);
    return true;
}

static void load_found(const struct diary_files *diaries, struct catalog_file *file, bool found)
{
    struct state_loaded *out = diaries->loaded;
    if (found) {
        advance(diaries, &file->head);
        int64_t seen = newest_wall(diaries, &file->head);
        out->catalog = restore(diaries->what, file, &file->head, seen);
        if (out->catalog)
            replay_all(diaries, file->head.at.revision, seen);
    }
    out->diary_is_whole &= out->catalog;
}

void state_load(const struct state_load *what, struct state_loaded *out)
{
    struct catalog_file file = {.records = SLICE_NONE};
    struct diary_files diaries = {.what = what, .loaded = out};
    *out = (struct state_loaded){.foreign = false};
    state_dir_list(what->dir, diary_prefix, on_diary_name, &diaries);
    if (diaries.count > 0)
        qsort(diaries.items, diaries.count, sizeof(*diaries.items), by_age);
    bool whole = open_catalog(what, STATE_CATALOG_NAME, &file, &out->foreign), found = whole;
    if (!whole && !out->foreign) {
        buf_clear(&file.bytes);
        found = open_catalog(what, STATE_CATALOG_NAME ".1", &file, &out->foreign);
    }
    if (!out->foreign) {
        load_found(&diaries, &file, found);
        out->catalog_is_whole = out->catalog && whole;
    }
    // Until it has been rendered too, the file as a whole is to blame.
    if (!out->catalog || !poison_begin(&what->replica->poison, file.poison))
        poison_end(&what->replica->poison);
    buf_fini(&file.bytes);
    free_diaries(&diaries);
}
