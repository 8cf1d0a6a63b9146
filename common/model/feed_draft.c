// SPDX-License-Identifier: Apache-2.0
// A revision is shown whole or not at all, and one of 10,000 records takes longer to
// read and to apply than a turn of the loop may last. So it is applied, slice by slice, to
// a copy of what is shown, which then takes its place: the owner's stage, used like in a
// reload, but begun as a copy. Nothing moves the live copy meanwhile, because the log is
// being read until the last part is in.
#include "common/model/feed_internal.h"

enum { COPY = 1000 }; // records a turn

void feed_draft_begin(struct feed *f)
{
    CM_ASSERT(!f->staging && !f->drafting);
    f->drafting = true;
    f->stage.at = f->live.at;
    f->draft_next = f->live.records;
    f->actions->stage_begin(f->ctx, true);
}

bool feed_draft_is_ready(struct feed *f)
{
    if (f->draft_next == NULL)
        return true;
    feed_copy_take(&f->stage, &f->draft_next, COPY);
    return false;
}

void feed_draft_commit(struct feed *f)
{
    CM_ASSERT(f->drafting && f->draft_next == NULL);
    feed_copy_discard(&f->live, &f->trash);
    f->live = f->stage;
    f->stage = (struct feed_copy){.records = NULL};
    f->drafting = false;
    f->actions->stage_commit(f->ctx);
}

void feed_draft_drop(struct feed *f)
{
    CM_ASSERT(f->drafting);
    feed_copy_discard(&f->stage, &f->trash);
    f->drafting = false;
    f->draft_next = NULL;
    f->actions->stage_drop(f->ctx);
}
