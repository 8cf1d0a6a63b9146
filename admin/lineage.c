// SPDX-License-Identifier: Apache-2.0
// A worker takes a new epoch for a continuation of its own only when that one is
// named. So the epochs that are served come first: what we know, then what the
// workers say; what the store itself says follows, and the older ones last.
#include "admin/lineage.h"

static void add_parent(struct commit_origin *o, uint64_t epoch)
{
    for (size_t i = 0; i < o->parent_count; i++)
        if (o->parents[i] == epoch)
            return;
    if (epoch != 0 && o->parent_count < HEAD_PARENTS_MAX)
        o->parents[o->parent_count++] = epoch;
}

static void add_parents(struct commit_origin *o, const struct head *h)
{
    for (size_t i = 0; i < h->parent_count; i++)
        add_parent(o, h->parents[i]);
}

static void raise_above(struct commit_origin *o, uint64_t seen)
{
    if (seen >= o->revision)
        o->revision = seen + 1;
}

static void raise_above_text(struct commit_origin *o, struct slice text)
{
    uint64_t seen;
    if (slice_parse_u64(text, (UINT64_C(1) << 53) - 2, &seen))
        raise_above(o, seen);
}

void lineage_ask(struct lineage *l, struct fetch *f)
{
    l->log_slot = fetch_newest_log(f);
    l->audit_slot = fetch_newest_audit(f);
}

void lineage_fill(const struct lineage *l, const struct fetch *f, const struct guard *g,
                  const struct journal *journal, struct commit_origin *out)
{
    struct head found = {.epoch = 0};
    bool is_ours = fetch_head(f, &found) == HEAD_OK;
    *out = (struct commit_origin){.epoch = fetch_head_field(f, HEAD_FIELD_EPOCH),
                                  .found_revision = fetch_head_field(f, HEAD_FIELD_REVISION),
                                  .change = fetch_head_field(f, HEAD_FIELD_CHANGE)};
    raise_above(out, g->known.revision);
    raise_above_text(out, out->found_revision);
    raise_above_text(out, fetch_result(f, l->log_slot));
    raise_above_text(out, fetch_result(f, l->audit_slot));
    if (journal != NULL)
        raise_above(out, journal_highest(journal));
    add_parent(out, g->known.epoch);
    for (size_t i = 0; i < roster_count(g->roster); i++) {
        const struct ack *ack = &roster_at(g->roster, i)->ack;
        raise_above(out, ack->revision);
        add_parent(out, ack->epoch);
    }
    if (is_ours)
        add_parent(out, found.epoch);
    add_parents(out, &g->known);
    if (is_ours)
        add_parents(out, &found);
}
