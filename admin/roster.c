// SPDX-License-Identifier: Apache-2.0
// A worker is counted from its hello until it says bye, its successor names it,
// an operator forgets it, or it has been silent for so long that by its own rule
// it refuses everybody. Silence alone takes nobody off: a worker that cannot
// reach Redis is exactly the one that may still serve what was revoked.
//
// The mirror in the store makes the roster survive a restart of the admin. It is
// written on hello, on bye, and now and then, so that what is loaded is not much
// older than what was heard. Removals that could not be stored yet are kept. What is read
// of the mirror was written before its answer came: a removal that was sent meanwhile is
// not in it, so such an answer adds nobody, and the next one does.
#include "admin/roster.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/util.h"

enum {
    SILENT_MS = 3000, // three reports missed
    MIRROR_EVERY_MS = 30000,
    REMOVALS_MAX = 1024
};

struct roster {
    size_t count, room;
    struct roster_worker *workers; // by id
    uint64_t removals_made;        // counted when noted, and when the mirror is told
    size_t removal_count;
    char (*removals)[ACK_ID_MAX + 1];
};

struct roster *roster_create(void)
{
    struct roster *r = xcalloc(1, sizeof(*r));
    r->removals = xcalloc(REMOVALS_MAX, sizeof(*r->removals));
    return r;
}

void roster_destroy(struct roster *r)
{
    if (r == NULL)
        return;
    free(r->workers);
    free(r->removals);
    free(r);
}

// The place of id, or where it belongs.
static size_t place_of(const struct roster *r, struct slice id, bool *found)
{
    size_t low = 0, high = r->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(slice_of(r->workers[middle].ack.id), id);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void drop_removal(struct roster *r, size_t i)
{
    memmove(&r->removals[i], &r->removals[i + 1],
            (r->removal_count - i - 1) * sizeof(*r->removals));
    r->removal_count--;
}

static struct roster_worker *add(struct roster *r, const char *id)
{
    bool found;
    size_t at = place_of(r, slice_of(id), &found);
    if (found)
        return &r->workers[at];
    if (r->count == r->room) {
        r->room = r->room == 0 ? 16 : 2 * r->room;
        r->workers = xrealloc(r->workers, r->room * sizeof(*r->workers));
    }
    memmove(&r->workers[at + 1], &r->workers[at], (r->count - at) * sizeof(*r->workers));
    r->count++;
    r->workers[at] = (struct roster_worker){.mirrored_ms = 0};
    for (size_t i = r->removal_count; i-- > 0;)
        if (strcmp(r->removals[i], id) == 0)
            drop_removal(r, i);
    return &r->workers[at];
}

// Past the bound the oldest removal is forgotten: its entry in the mirror then
// ends by its own max_stale_s.
static void note_removal(struct roster *r, const char *id)
{
    r->removals_made++;
    if (r->removal_count == REMOVALS_MAX)
        drop_removal(r, 0);
    memcpy(r->removals[r->removal_count++], id, strlen(id) + 1);
}

static void take_off(struct roster *r, size_t at)
{
    note_removal(r, r->workers[at].ack.id);
    memmove(&r->workers[at], &r->workers[at + 1], (r->count - at - 1) * sizeof(*r->workers));
    r->count--;
}

bool roster_forget(struct roster *r, struct slice id)
{
    bool found;
    size_t at = place_of(r, id, &found);
    if (found)
        take_off(r, at);
    return found;
}

// Splits "<instance>-<slot>-<incarnation>" before the last number. False for ids
// of another form.
static bool split_id(const char *id, struct slice *place, uint64_t *incarnation)
{
    const char *dash = strrchr(id, '-');
    if (dash == NULL)
        return false;
    *place = slice_make(id, (size_t)(dash - id) + 1);
    return slice_parse_u64(slice_of(dash + 1), UINT64_MAX, incarnation);
}

// The predecessor that an ack names has ended, and so have all before it in its
// slot: one that died before its hello could not take its own predecessor off.
static void take_off_predecessors(struct roster *r, const char *replaced)
{
    struct slice place, other_place;
    uint64_t ended, incarnation;
    (void)!roster_forget(r, slice_of(replaced));
    if (!split_id(replaced, &place, &ended))
        return;
    for (size_t i = r->count; i-- > 0;)
        if (split_id(r->workers[i].ack.id, &other_place, &incarnation) &&
            slice_equal(place, other_place) && incarnation < ended)
            take_off(r, i);
}

void roster_on_ack(struct roster *r, const struct ack *ack, uint64_t now_ms)
{
    // Not only a hello: in a roll the predecessor ends after the successor's.
    if (ack->replaces[0] != '\0')
        take_off_predecessors(r, ack->replaces);
    if (ack->kind == ACK_BYE) {
        // Also of one that is not known here: the mirror may not have been read yet.
        if (!roster_forget(r, slice_of(ack->id)))
            note_removal(r, ack->id);
        return;
    }
    struct roster_worker *w = add(r, ack->id);
    w->ack = *ack;
    w->heard_ms = now_ms;
    if (ack->kind == ACK_HELLO)
        w->mirrored_ms = 0;
}

uint64_t roster_removals(const struct roster *r)
{
    return r->removals_made;
}

void roster_load(struct roster *r, const struct ack *ack, uint64_t asked, uint64_t now_ms,
                 int64_t wall_ms)
{
    bool found;
    uint64_t age = wall_ms > ack->sent_ms ? (uint64_t)(wall_ms - ack->sent_ms) : 0;
    (void)place_of(r, slice_of(ack->id), &found);
    if (found || ack->kind == ACK_BYE || asked != r->removals_made)
        return;
    for (size_t i = 0; i < r->removal_count; i++)
        if (strcmp(r->removals[i], ack->id) == 0)
            return;
    struct roster_worker *w = add(r, ack->id);
    w->ack = *ack;
    w->heard_ms = age < now_ms ? now_ms - age : 0;
    w->mirrored_ms = now_ms;
}

void roster_expire(struct roster *r, uint64_t now_ms)
{
    for (size_t i = r->count; i-- > 0;) {
        const struct roster_worker *w = &r->workers[i];
        if (w->ack.max_stale_s > 0 && now_ms - w->heard_ms > w->ack.max_stale_s * 1000)
            take_off(r, i);
    }
}

size_t roster_count(const struct roster *r)
{
    return r->count;
}

const struct roster_worker *roster_at(const struct roster *r, size_t i)
{
    CM_ASSERT(i < r->count);
    return &r->workers[i];
}

bool roster_has_applied(const struct roster_worker *w, uint64_t epoch, uint64_t revision)
{
    return w->ack.epoch == epoch && w->ack.revision >= revision;
}

bool roster_is_silent(const struct roster_worker *w, uint64_t now_ms)
{
    return now_ms - w->heard_ms > SILENT_MS;
}

bool roster_knows_history(const struct roster *r, uint64_t since_ms)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->workers[i].ack.epoch != 0 && r->workers[i].heard_ms >= since_ms)
            return true;
    return false;
}

void roster_flush(struct roster *r, uint64_t now_ms,
                  bool (*write)(void *ctx, struct slice id, struct slice text), void *ctx)
{
    struct buf text = {.len = 0};
    while (r->removal_count > 0 && write(ctx, slice_of(r->removals[0]), SLICE_NONE)) {
        drop_removal(r, 0);
        r->removals_made++;
    }
    for (size_t i = 0; i < r->count; i++) {
        struct roster_worker *w = &r->workers[i];
        if (w->mirrored_ms != 0 && now_ms - w->mirrored_ms < MIRROR_EVERY_MS)
            continue;
        // A worker that is silent is not made younger: its ack keeps its time.
        buf_clear(&text);
        ack_write(&text, &w->ack);
        if (!write(ctx, slice_of(w->ack.id), buf_slice(&text)))
            break;
        w->mirrored_ms = now_ms;
    }
    buf_fini(&text);
}
