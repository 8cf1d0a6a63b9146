// SPDX-License-Identifier: Apache-2.0
// A worker's state directory in miniature. The catalog is saved now and then while the
// feed is live, two generations of it. The diary is written at once when a key is
// changed or denied (and then holds all that came before), and now and then otherwise;
// so a crash may lose what was read since, never what makes stricter. A start takes the
// newest catalog, and the diary's position where that catalog is right for it.
#include "tests/support/feed_model.h"

#include <string.h>

void disk_reset(struct disk *d)
{
    memset(d, 0, sizeof(*d));
    d->catalogs[0].at = d->catalogs[1].at = d->at = -1;
}

static struct disk *disk_of(const struct worker *w)
{
    return &sim.disks[w->number];
}

void disk_note(struct worker *w)
{
    struct disk *d = disk_of(w);
    memcpy(d->entries, w->entries, sizeof(d->entries));
    memcpy(d->denied, w->denied, sizeof(d->denied));
}

void disk_denied(struct worker *w, int key, uint16_t revision)
{
    struct disk *d = disk_of(w);
    if (w->entries[key].denied > 0 && revision > d->denied[key])
        d->denied[key] = revision;
}

static void stamp(struct worker *w)
{
    struct disk *d = disk_of(w);
    disk_note(w);
    d->confirmed = (uint32_t)feed_confirmed_at(w->feed);
    d->at = (int16_t)w->at;
    d->epoch = w->at_epoch;
}

static void save(struct worker *w)
{
    struct disk *d = disk_of(w);
    d->catalogs[1] = d->catalogs[0];
    d->catalogs[0].at = (int16_t)w->at;
    d->catalogs[0].epoch = w->at_epoch;
    memcpy(d->catalogs[0].live, w->live, sizeof(w->live));
}

void disk_settled(struct worker *w)
{
    if (feed_state(w->feed) != FEED_LIVE)
        return;
    if (sim_chance(40))
        stamp(w);
    if (sim_chance(40))
        save(w);
}

void disk_lose(struct worker *w)
{
    struct disk *d = disk_of(w);
    if (sim_chance(60)) {
        disk_reset(d);
    } else if (sim_chance(128)) {
        d->catalogs[0] = d->catalogs[1];
        d->catalogs[1].at = -1;
    }
}

static bool is_same_catalog(const struct node *a, const struct node *b)
{
    return a->models == b->models && digest_equal(a->digest, b->digest);
}

// The node that the catalog is right for: its own, or the diary's.
static int position_of(const struct disk *d)
{
    int catalog = d->catalogs[0].at;
    if (d->at >= 0 && d->epoch == d->catalogs[0].epoch &&
        node_of(d->at)->revision >= node_of(catalog)->revision &&
        is_same_catalog(node_of(d->at), node_of(catalog)))
        return d->at;
    return catalog;
}

static void load_catalog(struct worker *w)
{
    const struct disk *d = disk_of(w);
    int n = position_of(d);
    const struct node *node = node_of(n);
    for (int m = 0; m < MODELS; m++) {
        uint16_t v = d->catalogs[0].live[m];
        char record[4] = {(char)('0' + v / 100), (char)('0' + v / 10 % 10), (char)('0' + v % 10)};
        w->live[m] = v;
        if (v > 0)
            feed_restore_record(w->feed, slice_make(&"abcdefgh"[m], 1), slice_of(record));
    }
    struct feed_position at = {.epoch = d->catalogs[0].epoch,
                               .revision = node->revision,
                               .change = CHANGE_BASE + (uint64_t)n,
                               .digest = node->digest,
                               .models = node->models};
    sim_require(feed_restore(w->feed, &at, d->confirmed), w, "disk: does not sum up");
    w->at = n;
    w->at_epoch = at.epoch;
    sim.restored++;
    sim_trace("worker %d: starts from disk at node %d", w->number, n);
}

static void load_entry(struct worker *w, int key, uint16_t revision)
{
    const struct disk *d = disk_of(w);
    struct entry *e = &w->entries[key];
    *e = d->entries[key];
    e->negative = false;
    if (!e->unverified)
        e->lease = d->confirmed;
    e->unverified = e->present || e->denied > 0;
    e->dirty = (e->dirty && e->unverified) || (e->present && e->revision > revision);
    w->denied[key] = d->denied[key];
    w->noted[key] = revision;
}

void disk_load(struct worker *w)
{
    if (disk_of(w)->catalogs[0].at < 0) {
        disk_reset(disk_of(w)); // keys of a history that nobody knows are nobody's
        return;
    }
    load_catalog(w);
    for (int k = 0; k < KEYS; k++)
        load_entry(w, k, node_of(w->at)->revision);
}
