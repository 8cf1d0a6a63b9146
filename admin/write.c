// SPDX-License-Identifier: Apache-2.0
// The order of things: an outcome stored under the Idempotency-Key wins over the
// plan; a dry run ends before the commit; audit entry and outcome travel in the
// commit itself; the answer waits until the journal is on disk, says how many
// replicas have the change ("durable"), and waits for the workers when the client
// wants that. (That there was nothing to change is waited for as well: the change that
// made it so may be the one that this request repeats.)
//
// A transaction that ends unresolved is not answered at all: every status would
// claim to know whether the change was made. Nor is one that made some of its
// revisions and failed then, or whose journal did not come to the disk: an error would
// say that nothing was changed, and the change may still be lost with Redis. The
// connection is cut instead. The next one is refused, before its script is sent, for as
// long as the journal cannot be written.
#include "admin/write.h"

#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "admin/audit.h"
#include "admin/idempotency.h"
#include "admin/txn.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/model/doc.h"

enum { DURABILITY_WAIT_MS = 100 };

struct writing {
    struct write w;
    const struct write_plan *plan;
    struct idempotency idem; // of the request's Idempotency-Key, if it has one
    size_t idem_slot;
    struct buf resource;
    struct propagation_goal goal; // of the revision that the answer shows
    bool begun;                   // a revision was made
    bool made;                    // the answer says so
    unsigned waits;               // for the disk, for the replicas
    bool unsafe;                  // the disk does not have it
};

static void reset(struct write *w)
{
    response_clear(&w->response);
    buf_clear(&w->stored_body);
    w->no_content = false;
    json_decref(w->diff);
    w->diff = json_array();
    problem_fini(&w->problem);
}

static void destroy(struct writing *writing)
{
    struct write *w = &writing->w;
    response_fini(&w->response);
    buf_fini(&w->stored_body);
    json_decref(w->diff);
    problem_fini(&w->problem);
    buf_fini(&writing->resource);
    free(writing);
}

static void refuse(struct writing *writing, struct problem *problem)
{
    struct problem taken = *problem;
    *problem = (struct problem){.code = PROBLEM_NONE};
    response_send_problem(writing->w.request, &taken, SLICE_NONE);
    destroy(writing);
}

static void cut(struct writing *writing)
{
    LOG_ERROR("write_cut", LOG_CSTR("action", writing->plan->action),
              LOG_CSTR("request_id", writing->w.request->id));
    response_cut(writing->w.request);
    destroy(writing);
}

static void send_answer(struct writing *writing)
{
    struct write *w = &writing->w;
    if (w->no_content && !w->request->dry_run && w->request->wait_s == 0)
        w->response.status = 204;
    response_send(w->request, &w->response);
    destroy(writing);
}

static void on_propagated(void *ctx, struct slice json)
{
    struct writing *writing = ctx;
    response_add_member(&writing->w.response, "propagation", json);
    send_answer(writing);
}

// Now, or when all workers have it.
static void propagate(struct writing *writing)
{
    struct request *r = writing->w.request;
    struct buf json = {.len = 0};
    if (r->wait_s == 0) {
        send_answer(writing);
    } else if (propagation_try(r->api->propagation, &writing->goal, clock_boot_ms(), &json)) {
        on_propagated(writing, buf_slice(&json));
    } else {
        propagation_start(r->api->propagation, &writing->goal, on_propagated, writing);
    }
    buf_fini(&json);
}

static void end_wait(struct writing *writing)
{
    if (--writing->waits > 0)
        return;
    writing->w.request->api->durability_waits--;
    if (!writing->unsafe) {
        propagate(writing);
    } else if (writing->made) {
        cut(writing);
    } else {
        problem_set(&writing->w.problem, PROBLEM_STORE_UNAVAILABLE,
                    "The journal cannot be written, so nothing is.");
        refuse(writing, &writing->w.problem);
    }
}

static void on_durable(void *ctx, const struct durability_answer *answer)
{
    struct writing *writing = ctx;
    struct buf json = {.len = 0};
    buf_printf(&json, "\"%s\"", durability_level_name(answer->level));
    response_add_member(&writing->w.response, "durable", buf_slice(&json));
    buf_fini(&json);
    end_wait(writing);
}

static void on_synced(void *ctx, bool on_disk)
{
    struct writing *writing = ctx;
    writing->unsafe = !on_disk;
    end_wait(writing);
}

// Both at the same time.
static void wait_until_safe(struct writing *writing)
{
    struct api *api = writing->w.request->api;
    bool journal = api->journal_sync != NULL;
    api->durability_waits++;
    writing->waits = (unsigned)journal + (unsigned)writing->made;
    if (writing->made)
        durability_wait(api->durability, DURABILITY_WAIT_MS, on_durable, writing);
    if (journal)
        journal_sync_wait(api->journal_sync, on_synced, writing);
}

// made: the change is, or was made before; else there was none to make.
static void answer(struct writing *writing, bool made, bool announced)
{
    struct request *r = writing->w.request;
    struct propagation_goal *goal = &writing->goal;
    goal->announced = announced;
    goal->started_ms = clock_boot_ms();
    goal->written_ms = clock_wall_ms();
    goal->deadline_ms = goal->started_ms + 1000 * (uint64_t)r->wait_s;
    writing->made = made;
    if (made || r->api->journal_sync != NULL)
        wait_until_safe(writing);
    else
        propagate(writing);
}

static void answer_dry(struct writing *writing)
{
    struct write *w = &writing->w;
    struct buf diff = {.len = 0};
    doc_write(&diff, w->diff);
    w->response.status = 200;
    w->response.etag[0] = '\0';
    buf_clear(&w->response.location);
    response_add_member(&w->response, "diff", buf_slice(&diff));
    buf_fini(&diff);
    send_answer(writing);
}

// An outcome is stored under this request's Idempotency-Key: it is the answer, if
// it belongs to this very request.
static void replay(struct writing *writing, struct slice stored)
{
    struct write *w = &writing->w;
    reset(w);
    if (!idempotency_replay(&writing->idem, stored, &w->response, &writing->goal.epoch,
                            &writing->goal.revision, &w->problem)) {
        refuse(writing, &w->problem);
        return;
    }
    w->response.replayed = true;
    answer(writing, true, false);
}

static void hook_ask(void *ctx, struct fetch *f)
{
    struct writing *writing = ctx;
    if (writing->idem.present)
        writing->idem_slot = fetch_idem(f, slice_of(writing->idem.name));
    writing->plan->ask(writing->w.request, f);
}

static void add_audit(struct writing *writing)
{
    struct write *w = &writing->w;
    struct buf entry = {.len = 0};
    const struct audit audit = {.actor = w->request->actor,
                                .action = writing->plan->action,
                                .resource = buf_cstr(&writing->resource),
                                .at_s = w->now_s,
                                .address = w->request->address,
                                .request_id = w->request->id,
                                .revision = commit_revision(w->commit),
                                .diff = w->diff};
    audit_write(&entry, &audit);
    commit_audit(w->commit, buf_slice(&entry));
    buf_fini(&entry);
}

static void write_outcome(struct writing *writing, struct buf *out)
{
    struct write *w = &writing->w;
    struct slice body =
        w->stored_body.len > 0 ? buf_slice(&w->stored_body) : buf_slice(&w->response.body);
    idempotency_write(out, &writing->idem, &w->response, body, writing->goal.epoch,
                      writing->goal.revision);
}

static void add_outcome(struct writing *writing)
{
    struct buf outcome = {.len = 0};
    write_outcome(writing, &outcome);
    commit_idem(writing->w.commit, slice_of(writing->idem.name), buf_slice(&outcome));
    buf_fini(&outcome);
}

static enum txn_verdict judge(struct writing *writing, enum write_verdict verdict)
{
    struct write *w = &writing->w;
    switch (verdict) {
    case WRITE_READ_MORE:
        return TXN_READ_MORE;
    case WRITE_REFUSED:
    case WRITE_UNCHANGED:
        return TXN_STOP;
    case WRITE_COMMIT:
    case WRITE_COMMIT_MORE:
        break;
    }
    if (w->request->dry_run)
        return TXN_STOP;
    writing->goal.epoch = commit_epoch(w->commit);
    writing->goal.revision = commit_revision(w->commit);
    add_audit(writing);
    if (verdict == WRITE_COMMIT_MORE)
        return TXN_COMMIT_MORE;
    if (writing->idem.present)
        add_outcome(writing);
    return TXN_COMMIT;
}

static enum txn_verdict hook_plan(void *ctx, struct fetch *f, const struct head *head,
                                  struct commit *c)
{
    struct writing *writing = ctx;
    struct write *w = &writing->w;
    reset(w);
    w->fetch = f;
    w->head = head;
    w->commit = c;
    w->now_s = clock_wall_s();
    writing->goal.epoch = head->epoch;
    writing->goal.revision = head->revision;
    if (writing->idem.present && fetch_result(f, writing->idem_slot).ptr != NULL)
        return TXN_STOP;
    return judge(writing, writing->plan->plan(w));
}

static void hook_committed(void *ctx, uint64_t revision)
{
    struct writing *writing = ctx;
    writing->begun = true;
    LOG_INFO("audit", LOG_CSTR("action", writing->plan->action),
             LOG_CSTR("resource", buf_cstr(&writing->resource)),
             LOG_CSTR("actor", writing->w.request->actor), LOG_U64("revision", revision),
             LOG_CSTR("request_id", writing->w.request->id));
    if (writing->plan->committed != NULL)
        writing->plan->committed(writing->w.request);
}

// No commit carries the outcome, so it is stored by itself. Nothing depends on it:
// without it a repeat is planned again.
static void answer_unchanged(struct writing *writing)
{
    struct buf outcome = {.len = 0};
    if (writing->idem.present) {
        write_outcome(writing, &outcome);
        idempotency_store(writing->w.request->api, &writing->idem, buf_slice(&outcome));
    }
    buf_fini(&outcome);
    answer(writing, false, false);
}

static void stopped(struct writing *writing)
{
    struct write *w = &writing->w;
    struct slice stored =
        writing->idem.present ? fetch_result(w->fetch, writing->idem_slot) : SLICE_NONE;
    if (stored.ptr != NULL)
        replay(writing, stored);
    else if (w->problem.code != PROBLEM_NONE)
        refuse(writing, &w->problem);
    else if (w->request->dry_run)
        answer_dry(writing);
    else
        answer_unchanged(writing);
}

static void hook_done(void *ctx, enum txn_result result, struct slice text, struct problem *problem)
{
    struct writing *writing = ctx;
    switch (result) {
    case TXN_COMMITTED:
        answer(writing, true, true);
        return;
    case TXN_STOPPED:
        stopped(writing);
        return;
    case TXN_REPLAYED:
        replay(writing, text);
        return;
    case TXN_FAILED:
        if (writing->begun)
            cut(writing);
        else
            refuse(writing, problem);
        return;
    case TXN_UNRESOLVED:
        cut(writing);
        return;
    }
}

void write_answer_deleted(struct write *w, struct slice id)
{
    w->response.status = 200;
    w->no_content = true;
    buf_append_str(&w->response.body, "{\"id\":");
    doc_write_string(&w->response.body, id);
    buf_append_str(&w->response.body, ",\"deleted\":true}");
}

void write_start(struct request *r, const struct write_plan *plan, struct slice resource)
{
    static const struct txn_hooks hooks = {
        .ask = hook_ask, .plan = hook_plan, .committed = hook_committed, .done = hook_done};
    static const struct txn_hooks unguarded = {.unguarded = true,
                                               .ask = hook_ask,
                                               .plan = hook_plan,
                                               .committed = hook_committed,
                                               .done = hook_done};
    struct writing *writing = xcalloc(1, sizeof(*writing));
    writing->w.request = r;
    writing->w.diff = json_array();
    writing->plan = plan;
    buf_append_slice(&writing->resource, resource);
    idempotency_init(&writing->idem, r);
    txn_start(r->api->txns, plan->unguarded ? &unguarded : &hooks, writing);
}
