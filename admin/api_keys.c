// SPDX-License-Identifier: Apache-2.0
// Keys: made, read, changed, rotated, revoked. A secret exists in clear text in
// one place, the state of the request that made it, and is wiped with it.
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/key_body.h"
#include "admin/key_view.h"
#include "admin/key_write.h"
#include "admin/reading.h"
#include "common/base/clock.h"
#include "common/model/doc.h"
#include "common/model/names.h"

struct key_request {
    struct key_write key;
    size_t record_slot;
    struct key_doc *fresh; // POST /keys: what the body says
    bool imported;         // by secret_sha256: there is no secret to show
    struct secret_digest digest;
    char secret[SECRET_LEN + 1];
    int64_t grace_s;
};

static void key_request_fini(void *state)
{
    struct key_request *s = state;
    explicit_bzero(s->secret, sizeof(s->secret));
    key_doc_destroy(s->fresh);
    key_write_fini(&s->key);
}

static void start_write(struct request *r, const struct write_plan *plan)
{
    const struct key_request *s = r->state;
    char resource[64];
    if (s->fresh == NULL && !names_is_key_id(r->args[0])) {
        response_refuse(r, PROBLEM_NOT_FOUND, "This is no key id.");
        return;
    }
    int len = snprintf(resource, sizeof(resource), "/keys/%.*s", KEY_ID_MAX,
                       s->fresh != NULL ? s->fresh->id : r->args[0].ptr);
    CM_ASSERT(len > 0 && (size_t)len < sizeof(resource));
    write_start(r, plan, slice_of(resource));
}

// The answer that shows the key; secret only where one was made.
static enum write_verdict show(struct write *w, enum write_verdict verdict, int status,
                               bool with_secret)
{
    struct key_request *s = w->request->state;
    const struct key_doc *k = s->key.after;
    bool hidden = s->imported || w->request->dry_run;
    w->response.status = status;
    if (with_secret) {
        key_view_write(&w->response.body, k, w->now_s,
                       hidden ? KEY_VIEW_SECRET_HIDDEN : KEY_VIEW_SECRET, s->secret);
        if (w->request->idempotency_key != NULL)
            key_view_write(&w->stored_body, k, w->now_s, KEY_VIEW_SECRET_HIDDEN, NULL);
    } else {
        key_view_write(&w->response.body, k, w->now_s, KEY_VIEW_PLAIN, NULL);
    }
    response_set_etag(&w->response, k->revision);
    return verdict;
}

// --- POST /keys

static void ask_create(struct request *r, struct fetch *f)
{
    struct key_request *s = r->state;
    s->record_slot = fetch_key_record(f, &s->digest);
    key_write_ask_targets(&s->key, f);
}

static enum write_verdict plan_create(struct write *w)
{
    struct key_request *s = w->request->state;
    if (fetch_result(w->fetch, s->record_slot).ptr != NULL) {
        problem_set(&w->problem, PROBLEM_ALREADY_EXISTS,
                    "A key with this secret_sha256 exists, or existed and was revoked.");
        return WRITE_REFUSED;
    }
    if (!key_write_check_targets(&s->key, w, "#/aliases", false))
        return WRITE_REFUSED;
    key_doc_destroy(s->key.after);
    s->key.after = key_doc_copy(s->fresh);
    s->key.after->created_at = w->now_s;
    enum write_verdict verdict = key_write_commit(&s->key, w);
    buf_printf(&w->response.location, "/keys/%s", s->key.after->id);
    return show(w, verdict, 201, true);
}

static void make_secret(struct key_request *s)
{
    secret_generate(s->secret);
    secret_hash(slice_of(s->secret), &s->digest);
}

static void take_secret(struct key_request *s, bool dry_run)
{
    char hint[SECRET_HINT_LEN + 1] = "";
    if (!s->imported) {
        make_secret(s);
        if (!dry_run) // a dry run's secret is never seen, so it has nothing to hint at
            secret_hint(slice_of(s->secret), hint);
    }
    bool fits = key_doc_rotate(s->fresh, &s->digest, hint, 0, 0);
    CM_ASSERT(fits);
}

void api_key_create(struct request *r)
{
    static const struct write_plan plan = {
        .action = "key.create", .ask = ask_create, .plan = plan_create};
    struct key_request *s = request_state(r, sizeof(*s), key_request_fini);
    struct problem problem = {.code = PROBLEM_NONE};
    struct mistakes mistakes;
    char id[KEY_ID_MAX + 1] = "key_";
    mistakes_init(&mistakes);
    secret_ulid(clock_wall_ms(), id + 4);
    s->fresh = key_doc_create(id, clock_wall_s());
    if (!query_bool(&r->query, "allow_missing_target", &s->key.allow_missing, &problem)) {
        response_send_problem(r, &problem, SLICE_NONE);
    } else if (!key_body_create(r->body, s->fresh, &s->imported, &s->digest, &mistakes)) {
        response_refuse_mistakes(r, &mistakes);
    } else {
        take_secret(s, r->dry_run);
        key_write_need_targets(&s->key, s->fresh->aliases);
        start_write(r, &plan);
    }
}

// --- PATCH, DELETE, rotate

static void ask_key(struct request *r, struct fetch *f)
{
    struct key_request *s = r->state;
    key_write_ask(&s->key, r, f);
}

static enum write_verdict plan_patch(struct write *w)
{
    struct key_request *s = w->request->state;
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    if (!key_write_load(&s->key, w) || !key_write_precondition(&s->key, w, true))
        return WRITE_REFUSED;
    if (!key_body_patch(w->request->body, s->key.after, w->now_s, &mistakes)) {
        problem_set_mistakes(&w->problem, &mistakes);
        return WRITE_REFUSED;
    }
    return show(w, key_write_commit(&s->key, w), 200, false);
}

void api_key_patch(struct request *r)
{
    static const struct write_plan plan = {
        .action = "key.patch", .ask = ask_key, .plan = plan_patch};
    request_state(r, sizeof(struct key_request), key_request_fini);
    start_write(r, &plan);
}

static enum write_verdict plan_revoke(struct write *w)
{
    struct key_request *s = w->request->state;
    if (!key_write_load(&s->key, w) || !key_write_precondition(&s->key, w, true))
        return WRITE_REFUSED;
    s->key.after->revoked_at = w->now_s;
    enum write_verdict verdict = key_write_commit(&s->key, w);
    write_answer_deleted(w, slice_of(s->key.after->id));
    return verdict;
}

void api_key_revoke(struct request *r)
{
    static const struct write_plan plan = {
        .action = "key.revoke", .ask = ask_key, .plan = plan_revoke};
    request_state(r, sizeof(struct key_request), key_request_fini);
    start_write(r, &plan);
}

static enum write_verdict plan_rotate(struct write *w)
{
    struct key_request *s = w->request->state;
    char hint[SECRET_HINT_LEN + 1] = "";
    if (!key_write_load(&s->key, w) || !key_write_precondition(&s->key, w, true))
        return WRITE_REFUSED;
    if (!w->request->dry_run)
        secret_hint(slice_of(s->secret), hint);
    if (!key_doc_rotate(s->key.after, &s->digest, hint, s->grace_s, w->now_s)) {
        struct mistakes mistakes;
        mistakes_init(&mistakes);
        mistakes_add(&mistakes, "#/grace_seconds", "too_many",
                     "%d secrets of this key are in their grace; 0 ends them", KEY_SECRETS_MAX - 1);
        problem_set_mistakes(&w->problem, &mistakes);
        return WRITE_REFUSED;
    }
    return show(w, key_write_commit(&s->key, w), 200, true);
}

void api_key_rotate(struct request *r)
{
    static const struct write_plan plan = {
        .action = "key.rotate", .ask = ask_key, .plan = plan_rotate};
    struct key_request *s = request_state(r, sizeof(*s), key_request_fini);
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    if (!key_body_rotate(r->body, &s->grace_s, &mistakes)) {
        response_refuse_mistakes(r, &mistakes);
        return;
    }
    make_secret(s);
    start_write(r, &plan);
}

// --- GET /keys/{id}

static void ask_get(struct reading *r)
{
    struct key_request *s = r->request->state;
    key_write_ask(&s->key, r->request, r->fetch);
}

static enum reading_verdict answer_get(struct reading *r)
{
    struct key_request *s = r->request->state;
    struct key_doc *k = key_write_read(&s->key, r->fetch);
    if (k == NULL) {
        problem_set(&r->problem, PROBLEM_NOT_FOUND, "There is no such key.");
        return READING_REFUSED;
    }
    if (r->request->route->handle == api_key_aliases_get)
        key_view_write_aliases(&r->response.body, k);
    else
        key_view_write(&r->response.body, k, clock_wall_s(), KEY_VIEW_PLAIN, NULL);
    response_set_etag(&r->response, k->revision);
    key_doc_destroy(k);
    return READING_DONE;
}

void api_key_get(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask_get, .answer = answer_get};
    request_state(r, sizeof(struct key_request), key_request_fini);
    if (names_is_key_id(r->args[0]))
        reading_start(r, &plan);
    else
        response_refuse(r, PROBLEM_NOT_FOUND, "This is no key id.");
}

void api_key_aliases_get(struct request *r)
{
    api_key_get(r);
}
