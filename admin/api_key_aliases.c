// SPDX-License-Identifier: Apache-2.0
// The aliases of one key: the whole set, or one of them. Each of these writes is
// a write to the key; its ETag is the key's.
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/key_aliases.h"
#include "admin/key_view.h"
#include "admin/key_write.h"
#include "admin/reading.h"
#include "common/model/alias.h"
#include "common/model/doc.h"
#include "common/model/names.h"

struct alias_state {
    struct key_write key;
    json_t *wanted; // PUT of the set: the new set; PUT of one: [the new alias]
};

static void alias_state_fini(void *state)
{
    struct alias_state *s = state;
    json_decref(s->wanted);
    key_write_fini(&s->key);
}

static struct slice match_of(const struct request *r)
{
    return r->args[1];
}

static struct slice name_of(const struct request *r)
{
    return r->args[2];
}

static bool name_is_good(const struct request *r)
{
    return names_is_alias(name_of(r), slice_equal(match_of(r), SLICE_LIT("prefix")));
}

static void start_write(struct request *r, const struct write_plan *plan)
{
    struct buf resource = {.len = 0};
    buf_append_str(&resource, "/keys/");
    buf_append_slice(&resource, r->args[0]);
    buf_append_str(&resource, "/aliases");
    if (match_of(r).ptr != NULL) {
        buf_append_char(&resource, '/');
        buf_append_slice(&resource, match_of(r));
        buf_append_char(&resource, '/');
        buf_append_slice(&resource, name_of(r));
    }
    write_start(r, plan, buf_slice(&resource));
    buf_fini(&resource);
}

static void ask_key(struct request *r, struct fetch *f)
{
    struct alias_state *s = r->state;
    key_write_ask(&s->key, r, f);
    key_write_ask_targets(&s->key, f);
}

// ?allow_missing_target, and the targets that have to exist.
static bool take_targets(struct request *r, struct problem *problem)
{
    struct alias_state *s = r->state;
    if (!query_bool(&r->query, "allow_missing_target", &s->key.allow_missing, problem))
        return false;
    key_write_need_targets(&s->key, s->wanted);
    return true;
}

// mistakes: those of the body and the name.
static void start_put(struct request *r, const struct write_plan *plan,
                      const struct mistakes *mistakes)
{
    struct problem problem = {.code = PROBLEM_NONE};
    if (mistakes->count > 0)
        response_refuse_mistakes(r, mistakes);
    else if (!names_is_key_id(r->args[0]))
        response_refuse(r, PROBLEM_NOT_FOUND, "This is no key id.");
    else if (!take_targets(r, &problem))
        response_send_problem(r, &problem, SLICE_NONE);
    else
        start_write(r, plan);
}

// --- PUT /keys/{id}/aliases

static enum write_verdict plan_set(struct write *w)
{
    struct alias_state *s = w->request->state;
    if (!key_write_load(&s->key, w) || !key_write_precondition(&s->key, w, true) ||
        !key_write_check_targets(&s->key, w, "#/aliases", false))
        return WRITE_REFUSED;
    json_decref(s->key.after->aliases);
    s->key.after->aliases = json_deep_copy(s->wanted);
    enum write_verdict verdict = key_write_commit(&s->key, w);
    w->response.status = 200;
    key_view_write_aliases(&w->response.body, s->key.after);
    response_set_etag(&w->response, s->key.after->revision);
    return verdict;
}

static json_t *take_set(const json_t *body, struct mistakes *mistakes)
{
    static const char *const known[] = {"aliases"};
    const char *name;
    json_t *value;
    if (!json_is_object(body)) {
        mistakes_add(mistakes, "#", "invalid", "must be an object with the member aliases");
        return NULL;
    }
    json_object_foreach((json_t *)(uintptr_t)body, name, value) if (strcmp(name, "aliases") != 0)
        mistakes_add_unknown(mistakes, "#", slice_of(name), known, CM_ARRAY_LEN(known));
    if (json_object_get(body, "aliases") == NULL) {
        mistakes_add(mistakes, "#/aliases", "required", "the set of aliases, [] for none");
        return NULL;
    }
    return key_aliases_normalise(json_object_get(body, "aliases"), "#/aliases", mistakes);
}

void api_key_aliases_put(struct request *r)
{
    static const struct write_plan plan = {
        .action = "aliases.put", .ask = ask_key, .plan = plan_set};
    struct alias_state *s = request_state(r, sizeof(*s), alias_state_fini);
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    s->wanted = take_set(r->body, &mistakes);
    start_put(r, &plan, &mistakes);
}

// --- one alias

static enum write_verdict plan_put(struct write *w)
{
    struct alias_state *s = w->request->state;
    const json_t *wanted = json_array_get(s->wanted, 0);
    if (!key_write_load(&s->key, w))
        return WRITE_REFUSED;
    bool exists =
        key_aliases_find(s->key.before->aliases, match_of(w->request), name_of(w->request)) != NULL;
    if (!key_write_precondition(&s->key, w, exists) ||
        !key_write_check_targets(&s->key, w, "#/target", true))
        return WRITE_REFUSED;
    key_aliases_put(s->key.after->aliases, match_of(w->request), name_of(w->request),
                    doc_string(json_object_get(wanted, "target")));
    if (json_array_size(s->key.after->aliases) > ALIAS_SET_MAX) {
        struct mistakes mistakes;
        mistakes_init(&mistakes);
        mistakes_add(&mistakes, "#", "too_many", "a key has at most %d aliases", ALIAS_SET_MAX);
        problem_set_mistakes(&w->problem, &mistakes);
        return WRITE_REFUSED;
    }
    enum write_verdict verdict = key_write_commit(&s->key, w);
    w->response.status = exists ? 200 : 201;
    doc_write(&w->response.body, wanted);
    response_set_etag(&w->response, s->key.after->revision);
    return verdict;
}

// The body may name match and name too, as a GET shows them.
static json_t *take_alias(const struct request *r, struct mistakes *mistakes)
{
    static const char *const known[] = {"match", "name", "target"};
    json_t *alias = json_object();
    const char *name;
    json_t *value;
    json_object_set_new(alias, "match", json_stringn(match_of(r).ptr, match_of(r).len));
    json_object_set_new(alias, "name", json_stringn(name_of(r).ptr, name_of(r).len));
    if (!json_is_object(r->body))
        mistakes_add(mistakes, "#", "invalid", "must be an object with the member target");
    json_object_foreach(r->body, name, value)
    {
        char pointer[MISTAKE_POINTER_MAX];
        mistake_pointer(pointer, "#", slice_of(name));
        if (strcmp(name, "target") == 0)
            json_object_set(alias, "target", value);
        else if (json_object_get(alias, name) == NULL)
            mistakes_add_unknown(mistakes, "#", slice_of(name), known, CM_ARRAY_LEN(known));
        else if (!json_equal(value, json_object_get(alias, name)))
            mistakes_add(mistakes, pointer, "invalid", "is not what the path says");
    }
    return alias;
}

void api_alias_put(struct request *r)
{
    static const struct write_plan plan = {.action = "alias.put", .ask = ask_key, .plan = plan_put};
    struct alias_state *s = request_state(r, sizeof(*s), alias_state_fini);
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    if (!name_is_good(r))
        mistakes_add(&mistakes, "#/name", "invalid", "the path does not name a valid alias");
    json_t *alias = take_alias(r, &mistakes);
    if (json_object_get(alias, "target") == NULL)
        mistakes_add(&mistakes, "#/target", "required", "the id of a model");
    else if (!names_is_model_id(doc_string(json_object_get(alias, "target"))))
        mistakes_add(&mistakes, "#/target", "invalid", "must be the id of a model");
    s->wanted = json_array();
    json_array_append_new(s->wanted, alias);
    start_put(r, &plan, &mistakes);
}

static enum write_verdict plan_delete(struct write *w)
{
    struct alias_state *s = w->request->state;
    if (!key_write_load(&s->key, w))
        return WRITE_REFUSED;
    if (!key_aliases_remove(s->key.after->aliases, match_of(w->request), name_of(w->request))) {
        problem_set(&w->problem, PROBLEM_NOT_FOUND, "The key has no such alias.");
        return WRITE_REFUSED;
    }
    if (!key_write_precondition(&s->key, w, true))
        return WRITE_REFUSED;
    enum write_verdict verdict = key_write_commit(&s->key, w);
    struct buf id = {.len = 0};
    buf_append_slice(&id, match_of(w->request));
    buf_append_char(&id, '/');
    buf_append_slice(&id, name_of(w->request));
    write_answer_deleted(w, buf_slice(&id));
    buf_fini(&id);
    return verdict;
}

void api_alias_delete(struct request *r)
{
    static const struct write_plan plan = {
        .action = "alias.delete", .ask = ask_key, .plan = plan_delete};
    request_state(r, sizeof(struct alias_state), alias_state_fini);
    if (names_is_key_id(r->args[0]) && name_is_good(r))
        start_write(r, &plan);
    else
        response_refuse(r, PROBLEM_NOT_FOUND, "There is no such alias.");
}

static void ask_get(struct reading *r)
{
    struct alias_state *s = r->request->state;
    key_write_ask(&s->key, r->request, r->fetch);
}

static enum reading_verdict answer_get(struct reading *r)
{
    struct alias_state *s = r->request->state;
    struct key_doc *k = key_write_read(&s->key, r->fetch);
    const json_t *alias =
        k == NULL ? NULL : key_aliases_find(k->aliases, match_of(r->request), name_of(r->request));
    if (alias == NULL) {
        problem_set(&r->problem, PROBLEM_NOT_FOUND,
                    k == NULL ? "There is no such key." : "The key has no such alias.");
    } else {
        doc_write(&r->response.body, alias);
        response_set_etag(&r->response, k->revision);
    }
    key_doc_destroy(k);
    return alias == NULL ? READING_REFUSED : READING_DONE;
}

void api_alias_get(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask_get, .answer = answer_get};
    request_state(r, sizeof(struct alias_state), alias_state_fini);
    if (names_is_key_id(r->args[0]) && name_is_good(r))
        reading_start(r, &plan);
    else
        response_refuse(r, PROBLEM_NOT_FOUND, "There is no such alias.");
}
