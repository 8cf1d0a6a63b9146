// SPDX-License-Identifier: Apache-2.0
// Loading the catalog anew beside the one that is shown.
//
//   base   the head that asked for it. The stage stands there, empty.
//   scan   all records, page by page. They are of no one revision: what is written
//          meanwhile may be in them or not.
//   head   read after the scan, so nothing in the stage is newer than it.
//   log    from the base's revision to that head's. An operation that the scan has
//          seen already is done again, which changes nothing; at the head's
//          revision the stage is exact. No log is read when the head is the base.
//   commit if change and digest are the head's.
//
// It ends after one scan however fast the store is written, because it need not
// catch up with it, only reach one head. It fails when the second head does not go
// on from the first or the log was trimmed between them: then all is dropped, the
// old catalog stays, and the next tick tries anew.
//
// A store whose records do not sum up to its head's digest although nothing moved
// is corrupt (somebody wrote past the admin). It is held like a foreign one, and
// scanned again no sooner than after the repair wait: a fleet that scanned it at
// every poll would only make it worse.
#include "common/model/feed_internal.h"

#include <string.h>

static bool is_too_soon(const struct feed *f)
{
    return f->corrupt_epoch == f->target.epoch &&
           f->target_sent_ms - f->corrupt_since_ms < f->repair_wait_ms;
}

static void ask_page(struct feed *f, bool restart)
{
    CM_ASSERT(f->reading == FEED_READING_NOTHING);
    f->reading = FEED_READING_SCAN;
    f->actions->scan_models(f->ctx, restart);
}

void feed_reload_begin(struct feed *f, bool falling)
{
    CM_ASSERT(!f->staging);
    if (is_too_soon(f)) {
        feed_hold(f, FEED_REASON_CORRUPT);
        return;
    }
    f->counters.reloads++;
    f->staging = true;
    f->falling = falling;
    f->stage.at.epoch = f->target.epoch;
    f->stage.at.revision = f->target.revision;
    f->stage.at.change = f->target.change;
    // While falling nothing is proven yet: the store is still behind us.
    if (!falling)
        feed_enter(f, feed_has_catalog(f) ? FEED_CATCHUP : FEED_EMPTY, FEED_REASON_NONE);
    f->actions->stage_begin(f->ctx, false);
    ask_page(f, true);
}

void feed_reload_scan(struct feed *f, const struct feed_record *records, size_t count, bool done)
{
    CM_ASSERT(f->staging);
    for (size_t i = 0; i < count; i++) {
        feed_copy_put(&f->stage, records[i].id, records[i].record);
        f->actions->put_model(f->ctx, true, records[i].id, records[i].record);
    }
    if (done)
        feed_ask_head(f);
    else
        ask_page(f, false);
}

bool feed_reload_goes_on(const struct feed *f, enum head_status status)
{
    const struct feed_position *at = &f->stage.at;
    const struct head *head = &f->target;
    if (status != HEAD_OK || head->epoch != at->epoch || head->revision < at->revision)
        return false;
    return head->revision > at->revision || head->change == at->change;
}

void feed_reload_advance(struct feed *f)
{
    if (f->target.revision > f->stage.at.revision) {
        feed_ask_log(f, f->stage.at.revision);
    } else if (feed_copy_sums_up(&f->stage, &f->target)) {
        feed_reload_commit(f);
        feed_confirmed(f);
    } else {
        feed_reload_miscounted(f);
    }
}

void feed_reload_commit(struct feed *f)
{
    bool fell = f->falling || (feed_has_catalog(f) && f->stage.at.revision < f->live.at.revision);
    CM_ASSERT(!fell || f->falling || f->stage.at.epoch != f->live.at.epoch);
    f->counters.falls += fell;
    feed_copy_discard(&f->live, &f->trash);
    f->live = f->stage;
    f->stage = (struct feed_copy){.records = NULL};
    memset(f->path, 0, sizeof(f->path));
    feed_note_path(f);
    f->staging = false;
    f->corrupt_epoch = 0;
    f->from_disk = false;
    f->actions->keys_unverified(f->ctx);
    f->actions->stage_commit(f->ctx);
}

void feed_reload_miscounted(struct feed *f)
{
    f->counters.digest_mismatches++;
    f->corrupt_epoch = f->target.epoch;
    f->corrupt_since_ms = f->target_sent_ms;
    feed_reload_abort(f);
    feed_hold(f, FEED_REASON_CORRUPT);
}

void feed_reload_abort(struct feed *f)
{
    f->counters.reload_aborts++;
    f->staging = false;
    feed_copy_discard(&f->stage, &f->trash);
    f->actions->stage_drop(f->ctx);
}
