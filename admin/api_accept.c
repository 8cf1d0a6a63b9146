// SPDX-License-Identifier: Apache-2.0
// POST /store/accept: an operator says that this store is to be served from now
// on, as it is, or with a whole configuration in place of all that it holds.
//
// A history begins that names those which the workers hold, so they load it at
// once; it is one script, so they see all of it or nothing. What the operator saw
// (epoch and revision, null where there was no head) must still be there. And what
// our journal knows to be denied stays so, whatever store or document say: the store
// itself learns of it, so that no later document brings it back.
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/config_plan.h"
#include "admin/lineage.h"
#include "admin/records.h"
#include "admin/replay.h"
#include "common/base/clock.h"
#include "common/base/log.h"

struct accept {
    const json_t *epoch, *revision; // of the body
    bool whole;                     // with a configuration
    struct config_plan config;
    struct lineage lineage;
    size_t models_slot;
    struct record_counts_slots counts_slots;
    struct replay replay; // all that the journal has, for its denials
};

static void fini(void *state)
{
    struct accept *a = state;
    config_plan_fini(&a->config);
    replay_fini(&a->replay);
}

// --- the body

static bool is_known_member(const char *name)
{
    return strcmp(name, "epoch") == 0 || strcmp(name, "revision") == 0 ||
           strcmp(name, "config") == 0;
}

static void read_body(struct accept *a, const json_t *body, struct mistakes *mistakes)
{
    static const char *const known[] = {"epoch", "revision", "config"};
    const char *name;
    json_t *value;
    if (!json_is_object(body)) {
        mistakes_add(mistakes, "#", "invalid", "must be an object");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)body, name, value) if (!is_known_member(name))
        mistakes_add_unknown(mistakes, "#", slice_of(name), known, CM_ARRAY_LEN(known));
    a->epoch = json_object_get(body, "epoch");
    a->revision = json_object_get(body, "revision");
    if (!json_is_string(a->epoch) && !json_is_null(a->epoch))
        mistakes_add(mistakes, "#/epoch", "required",
                     "the epoch that GET /fleet shows as found, or null where it shows none");
    if (!json_is_integer(a->revision) && !json_is_null(a->revision))
        mistakes_add(mistakes, "#/revision", "required",
                     "the revision that GET /fleet shows as found, or null where it shows none");
    const json_t *config = json_object_get(body, "config");
    a->whole = config != NULL && !json_is_null(config);
    if (!a->whole)
        return;
    size_t before = mistakes->count;
    if (config_doc_read(config, clock_wall_s(), &a->config.doc, mistakes)) {
        if (!a->config.doc.has_models || !a->config.doc.has_keys)
            mistakes_add(mistakes, "#", "required",
                         "it takes the place of everything, so it needs models and keys");
    }
    mistakes_prefix(mistakes, before, "#/config");
}

// --- what the journal denies

static void load_journal(struct accept *a, const struct api *api)
{
    for (size_t i = 0; api->journal != NULL && i < journal_count(api->journal); i++)
        if (journal_at(api->journal, i)->state == JOURNAL_DONE &&
            !replay_add(&a->replay, api->journal, i, api->keyspace))
            LOG_ERROR("journal_not_read",
                      LOG_U64("revision", journal_at(api->journal, i)->revision));
    replay_keep_denials(&a->replay);
    replay_seal(&a->replay);
}

// --- the plan

static void ask(struct request *r, struct fetch *f)
{
    struct accept *a = r->state;
    lineage_ask(&a->lineage, f);
    if (a->whole) {
        config_plan_ask(&a->config, f);
    } else {
        a->models_slot = fetch_all_models(f);
        a->counts_slots = record_counts_ask(f);
        replay_ask(&a->replay, f);
    }
}

static bool is_meant(const struct accept *a, const struct head *found)
{
    char epoch[HEAD_ID_HEX_LEN + 1];
    if (found == NULL)
        return json_is_null(a->epoch) && json_is_null(a->revision);
    head_id_hex(found->epoch, epoch);
    return slice_equal(doc_string(a->epoch), slice_of(epoch)) && json_is_integer(a->revision) &&
           (uint64_t)json_integer_value(a->revision) == found->revision;
}

static bool check_meant(const struct accept *a, struct write *w)
{
    struct head found;
    char epoch[HEAD_ID_HEX_LEN + 1];
    bool ours = fetch_head(w->fetch, &found) == HEAD_OK;
    if (is_meant(a, ours ? &found : NULL))
        return true;
    if (!ours) {
        problem_set(&w->problem, PROBLEM_PRECONDITION_FAILED,
                    "The store has no head of ours: epoch and revision are null.");
        return false;
    }
    head_id_hex(found.epoch, epoch);
    problem_set(&w->problem, PROBLEM_PRECONDITION_FAILED,
                "The store is now at epoch %s, revision %llu.", epoch,
                (unsigned long long)found.revision);
    return false;
}

// Of the records that stay.
static void sum_up(const struct accept *a, struct write *w, struct commit_origin *origin)
{
    size_t count;
    struct record *records = records_read(w->fetch, a->models_slot, &count);
    origin->models = count;
    for (size_t i = 0; i < count; i++)
        origin->digest = digest_add(origin->digest, digest_record(records[i].id, records[i].text));
    free(records);
}

// What is in force after it: whoever accepts an empty store should see that he does.
static void add_records(const struct accept *a, struct write *w)
{
    struct buf text = {.len = 0};
    struct record_counts c = {.known = true};
    if (a->whole) {
        c.keys = commit_documents(w->commit);
    } else {
        c = record_counts_read(w->fetch, a->counts_slots);
        c.keys -= a->replay.ending;
    }
    c.models = commit_head(w->commit).models;
    record_counts_write(&c, &text);
    response_add_member(&w->response, "records", buf_slice(&text));
    buf_fini(&text);
}

static void add_history(struct write *w, const struct commit_origin *origin)
{
    char hex[HEAD_ID_HEX_LEN + 1];
    struct buf text = {.len = 0};
    head_id_hex(commit_epoch(w->commit), hex);
    buf_printf(&text, "\"%s\"", hex);
    response_add_member(&w->response, "epoch", buf_slice(&text));
    buf_clear(&text);
    buf_append_char(&text, '[');
    for (size_t i = 0; i < origin->parent_count; i++) {
        head_id_hex(origin->parents[i], hex);
        buf_printf(&text, "%s\"%s\"", i == 0 ? "" : ",", hex);
    }
    buf_append_char(&text, ']');
    response_add_member(&w->response, "parents", buf_slice(&text));
    buf_fini(&text);
}

static enum write_verdict plan_as_it_is(struct accept *a, struct write *w)
{
    static const struct replay_branch all_newer = {.unknown = true};
    bool fits = replay_fill(&a->replay, w, &all_newer);
    replay_bury(&a->replay, w);
    if (!fits || commit_words(w->commit) > COMMIT_WORDS_MAX) {
        problem_set(&w->problem, PROBLEM_BODY_TOO_LARGE, "Too many denials for one step.");
        return WRITE_REFUSED;
    }
    buf_printf(&w->response.body, "{\"revision\":%llu,\"denied\":%zu}",
               (unsigned long long)commit_revision(w->commit), a->replay.restoring);
    w->response.status = 200;
    response_set_etag(&w->response, commit_revision(w->commit));
    return WRITE_COMMIT;
}

static enum write_verdict plan_whole(struct accept *a, struct write *w)
{
    enum write_verdict verdict = config_plan_make(&a->config, w);
    if (verdict == WRITE_READ_MORE || verdict == WRITE_REFUSED)
        return verdict;
    replay_bury(&a->replay, w);
    if (commit_words(w->commit) <= COMMIT_WORDS_MAX)
        return WRITE_COMMIT;
    problem_set(&w->problem, PROBLEM_BODY_TOO_LARGE,
                "It is too much for one step: accept the models first, then apply the rest.");
    return WRITE_REFUSED;
}

static enum write_verdict plan(struct write *w)
{
    struct accept *a = w->request->state;
    struct commit_origin origin;
    if (!check_meant(a, w))
        return WRITE_REFUSED;
    lineage_fill(&a->lineage, w->fetch, w->request->api->guard, w->request->api->journal, &origin);
    origin.keep = a->whole ? COMMIT_KEEP_NOTHING : COMMIT_KEEP_RECORDS;
    if (!a->whole)
        sum_up(a, w, &origin);
    commit_begin_history(w->commit, &origin);
    enum write_verdict verdict = a->whole ? plan_whole(a, w) : plan_as_it_is(a, w);
    if (verdict == WRITE_COMMIT) {
        add_records(a, w);
        add_history(w, &origin);
    }
    return verdict;
}

void api_store_accept(struct request *r)
{
    static const struct write_plan accept_plan = {
        .action = "store.accept", .ask = ask, .plan = plan, .unguarded = true};
    struct accept *a = request_state(r, sizeof(*a), fini);
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    read_body(a, r->body, &mistakes);
    if (mistakes.count > 0) {
        response_refuse_mistakes(r, &mistakes);
        return;
    }
    load_journal(a, r->api);
    a->config.anew = true;
    a->config.allow_missing = true;
    a->config.denied = &a->replay;
    config_plan_start(&a->config);
    write_start(r, &accept_plan, SLICE_LIT("/store"));
}
