// SPDX-License-Identifier: Apache-2.0
// The catalog, model by model. A record in the store is what the one validator
// made of a client's document; equal documents make no revision.
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/json_diff.h"
#include "admin/paging.h"
#include "admin/reading.h"
#include "admin/write.h"
#include "common/model/doc.h"
#include "common/model/model.h"
#include "common/model/names.h"

enum { REFERRING_SHOWN = 100 };

static struct slice id_of(const struct request *r)
{
    return r->args[0];
}

// The stored record as a document, NULL when there is none.
static json_t *parse_record(struct slice record)
{
    struct doc_error error;
    return record.ptr == NULL ? NULL : doc_parse(record, &error);
}

static uint64_t revision_of(const json_t *record)
{
    return (uint64_t)json_integer_value(json_object_get(record, "revision"));
}

// --- GET /models/{id}

static void ask_model(struct reading *r)
{
    size_t slot = fetch_model(r->fetch, id_of(r->request));
    CM_ASSERT(slot == 0);
}

static enum reading_verdict answer_model_get(struct reading *r)
{
    struct slice record = fetch_result(r->fetch, 0);
    json_t *doc = parse_record(record);
    if (doc == NULL) {
        problem_set(&r->problem, PROBLEM_NOT_FOUND, "There is no model '%.*s'.",
                    SLICE_FMT(id_of(r->request)));
        return READING_REFUSED;
    }
    model_write_admin(&r->response.body, record);
    response_set_etag(&r->response, revision_of(doc));
    json_decref(doc);
    return READING_DONE;
}

void api_model_get(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask_model, .answer = answer_model_get};
    if (names_is_model_id(id_of(r)))
        reading_start(r, &plan);
    else
        response_refuse(r, PROBLEM_NOT_FOUND, "This is no model id.");
}

// --- PUT, PATCH

static void ask_record(struct request *r, struct fetch *f)
{
    size_t *slot = r->state;
    *slot = fetch_model(f, id_of(r));
}

// Judges the new document against the record that is there and fills w.
static enum write_verdict put_document(struct write *w, const json_t *before, json_t *after)
{
    struct slice id = id_of(w->request);
    struct slice old = fetch_result(w->fetch, *(size_t *)w->request->state);
    if (before != NULL && model_same(before, after)) {
        w->response.status = 200;
        model_write_admin(&w->response.body, old);
        response_set_etag(&w->response, revision_of(before));
        return WRITE_UNCHANGED;
    }
    struct buf record = {.len = 0};
    model_write_record(&record, after, commit_revision(w->commit));
    commit_put_model(w->commit, id, old, buf_slice(&record));
    w->response.status = before == NULL ? 201 : 200;
    model_write_admin(&w->response.body, buf_slice(&record));
    response_set_etag(&w->response, commit_revision(w->commit));
    if (before == NULL) {
        buf_append_str(&w->response.location, "/models/");
        buf_append_slice(&w->response.location, id);
    }
    json_diff_objects(w->diff, "", before, after, "revision");
    buf_fini(&record);
    return WRITE_COMMIT;
}

typedef json_t *(*complete_fn)(const json_t *before, const struct write *w,
                               struct mistakes *mistakes);

static enum write_verdict plan_document(struct write *w, complete_fn complete, bool must_exist)
{
    json_t *before = parse_record(fetch_result(w->fetch, *(size_t *)w->request->state));
    enum write_verdict verdict = WRITE_REFUSED;
    struct response old = {.status = 0};
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    if (before != NULL)
        response_set_etag(&old, revision_of(before));
    if (before == NULL && must_exist) {
        problem_set(&w->problem, PROBLEM_NOT_FOUND, "There is no model '%.*s'.",
                    SLICE_FMT(id_of(w->request)));
    } else if (request_precondition(w->request, old.etag, before != NULL, &w->problem)) {
        json_t *after = complete(before, w, &mistakes);
        if (after == NULL)
            problem_set_mistakes(&w->problem, &mistakes);
        else
            verdict = put_document(w, before, after);
        json_decref(after);
    }
    json_decref(before);
    return verdict;
}

// A model keeps its date when a PUT does not give one: the same PUT twice is no
// change.
static json_t *complete_put(const json_t *before, const struct write *w, struct mistakes *mistakes)
{
    const json_t *created = json_object_get(before, "created");
    int64_t date = created == NULL ? w->now_s : json_integer_value(created);
    return model_complete(w->request->body, id_of(w->request), date, mistakes);
}

static json_t *complete_patch(const json_t *before, const struct write *w,
                              struct mistakes *mistakes)
{
    return model_patch(before, w->request->body, id_of(w->request), w->now_s, mistakes);
}

static enum write_verdict plan_put(struct write *w)
{
    return plan_document(w, complete_put, false);
}

static enum write_verdict plan_patch(struct write *w)
{
    return plan_document(w, complete_patch, true);
}

static void start_write(struct request *r, const struct write_plan *plan)
{
    struct buf resource = {.len = 0};
    buf_append_str(&resource, "/models/");
    buf_append_slice(&resource, id_of(r));
    write_start(r, plan, buf_slice(&resource));
    buf_fini(&resource);
}

void api_model_put(struct request *r)
{
    static const struct write_plan plan = {
        .action = "model.put", .ask = ask_record, .plan = plan_put};
    if (names_is_model_id(id_of(r))) {
        request_state(r, sizeof(size_t), NULL); // the record's slot
        start_write(r, &plan);
        return;
    }
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    mistakes_add(&mistakes, "#/id", "invalid",
                 "the path must name a model as vendor/name, see the rules for names");
    response_refuse_mistakes(r, &mistakes);
}

void api_model_patch(struct request *r)
{
    static const struct write_plan plan = {
        .action = "model.patch", .ask = ask_record, .plan = plan_patch};
    if (!names_is_model_id(id_of(r))) {
        response_refuse(r, PROBLEM_NOT_FOUND, "This is no model id.");
        return;
    }
    request_state(r, sizeof(size_t), NULL);
    start_write(r, &plan);
}

// --- DELETE

struct delete_state {
    size_t record_slot, refs_slot;
    size_t doc_count; // asked for so far
    size_t doc_slots[REFERRING_SHOWN];
    bool force;
};

static void ask_delete(struct request *r, struct fetch *f)
{
    struct delete_state *s = r->state;
    s->record_slot = fetch_model(f, id_of(r));
    s->refs_slot = fetch_refs(f, id_of(r));
    s->doc_count = 0;
}

// Asks for the documents of the keys that point here, to name their aliases.
static bool ask_referring(struct write *w, struct delete_state *s)
{
    size_t count = fetch_list_count(w->fetch, s->refs_slot);
    if (s->doc_count > 0)
        return false;
    for (size_t i = 0; i < count && i < REFERRING_SHOWN; i++)
        s->doc_slots[s->doc_count++] =
            fetch_key_document(w->fetch, fetch_list_at(w->fetch, s->refs_slot, i));
    return s->doc_count > 0;
}

static void show_referring(json_t *list, const json_t *key, struct slice target)
{
    const json_t *aliases = json_object_get(key, "aliases");
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        const json_t *alias = json_array_get(aliases, i);
        if (!slice_equal(doc_string(json_object_get(alias, "target")), target))
            continue;
        json_t *shown = json_object();
        json_object_set(shown, "key_id", json_object_get(key, "id"));
        json_object_set(shown, "match", json_object_get(alias, "match"));
        json_object_set(shown, "name", json_object_get(alias, "name"));
        json_array_append_new(list, shown);
    }
}

static enum write_verdict refuse_in_use(struct write *w, struct delete_state *s)
{
    json_t *aliases = json_array();
    size_t keys = fetch_list_count(w->fetch, s->refs_slot);
    for (size_t i = 0; i < s->doc_count; i++) {
        json_t *key = parse_record(fetch_result(w->fetch, s->doc_slots[i]));
        show_referring(aliases, key, id_of(w->request));
        json_decref(key);
    }
    problem_set(&w->problem, PROBLEM_IN_USE,
                "Aliases of %zu %s point at this model; ?force=true deletes it all the same.", keys,
                keys == 1 ? "key" : "keys");
    buf_append_str(&w->problem.members, ",\"aliases\":");
    doc_write(&w->problem.members, aliases);
    json_decref(aliases);
    return WRITE_REFUSED;
}

static enum write_verdict plan_delete(struct write *w)
{
    struct delete_state *s = w->request->state;
    struct slice record = fetch_result(w->fetch, s->record_slot);
    struct response old = {.status = 0};
    json_t *before = parse_record(record);
    if (before == NULL) {
        problem_set(&w->problem, PROBLEM_NOT_FOUND, "There is no model '%.*s'.",
                    SLICE_FMT(id_of(w->request)));
        return WRITE_REFUSED;
    }
    response_set_etag(&old, revision_of(before));
    json_diff_objects(w->diff, "", before, NULL, "revision");
    json_decref(before);
    if (!request_precondition(w->request, old.etag, true, &w->problem))
        return WRITE_REFUSED;
    if (!s->force && fetch_list_count(w->fetch, s->refs_slot) > 0)
        return ask_referring(w, s) ? WRITE_READ_MORE : refuse_in_use(w, s);
    commit_remove_model(w->commit, id_of(w->request), record);
    write_answer_deleted(w, id_of(w->request));
    return WRITE_COMMIT;
}

void api_model_delete(struct request *r)
{
    static const struct write_plan plan = {
        .action = "model.delete", .ask = ask_delete, .plan = plan_delete};
    struct problem problem = {.code = PROBLEM_NONE};
    bool force = false;
    if (!query_bool(&r->query, "force", &force, &problem)) {
        response_send_problem(r, &problem, SLICE_NONE);
    } else if (!names_is_model_id(id_of(r))) {
        response_refuse(r, PROBLEM_NOT_FOUND, "This is no model id.");
    } else {
        struct delete_state *s = request_state(r, sizeof(*s), NULL);
        s->force = force;
        start_write(r, &plan);
    }
}
