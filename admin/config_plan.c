// SPDX-License-Identifier: Apache-2.0
// As with an import (catalog_plan.c), each attempt compares what is wanted with
// what is there and commits at most COMMIT_RECORDS_MAX differences. The order is
// one in which no step in between is worse than both ends: first what is revoked,
// then new models, then keys (whose aliases point at them), then what is deleted.
//
// A key is matched by its id. One that is there keeps its secret, whatever the
// document says: an old export must not bring back a secret that was rotated
// away. One that is not there can be restored by secret_sha256, unless that
// secret, or the key, is known to be revoked: then it stays so, and is reported.
#include "admin/config_plan.h"

#include <stdlib.h>
#include <string.h>

#include "admin/json_diff.h"
#include "admin/key_aliases.h"
#include "admin/records.h"
#include "common/model/doc.h"

enum { DELETES_MIN = 10, DELETES_PERCENT = 10, RESTORES_MAX = 8192 };

struct config_key {
    enum config_outcome outcome;
    bool settled; // in a revision that was committed, or found unchanged before one
    bool asked;
    const char *reason; // why it was skipped
    size_t gone_slot, record_slots[KEY_SECRETS_MAX];
};

// What is there, as this attempt read it.
struct present {
    const struct record *models, *keys; // by id
    size_t model_count, key_count;
};

void config_plan_fini(struct config_plan *p)
{
    catalog_plan_fini(&p->catalog);
    config_doc_fini(&p->doc);
    free(p->keys);
    json_decref(p->warnings);
}

void config_plan_start(struct config_plan *p)
{
    p->catalog.import = p->doc.models;
    p->doc.models = (struct import){.count = 0};
    p->catalog.replace = p->sync && p->doc.has_models;
    p->catalog.limited = p->limited;
    p->catalog.max_deletes = p->max_deletes;
    p->catalog.at_once = p->anew;
    p->keys = xcalloc(p->doc.key_count + 1, sizeof(*p->keys));
}

void config_plan_ask(struct config_plan *p, struct fetch *f)
{
    p->asked = false;
    for (size_t i = 0; i < p->doc.key_count; i++)
        p->keys[i].asked = false;
    if (p->anew)
        return;
    catalog_plan_ask(&p->catalog, f);
    p->documents_slot = fetch_all_documents(f);
}

static void warn(struct config_plan *p, const char *id, const char *reason)
{
    catalog_plan_line(p->warnings, id, reason);
}

static bool is_full(const struct config_plan *p, const struct write *w)
{
    return !p->anew && !w->request->dry_run && commit_records(w->commit) >= COMMIT_RECORDS_MAX;
}

// --- whether it may begin

static bool check_binding(const struct config_plan *p, struct write *w)
{
    struct response now = {.status = 0};
    if (p->revisions > 0)
        return true;
    response_set_etag(&now, w->head->revision);
    if (!request_precondition(w->request, now.etag, true, &w->problem))
        return false;
    if (!p->bound || p->revision == w->head->revision)
        return true;
    problem_set(&w->problem, PROBLEM_PLAN_STALE,
                "It was made for revision %llu; the store is at %llu.",
                (unsigned long long)p->revision, (unsigned long long)w->head->revision);
    return false;
}

static bool is_unwanted(const struct config_plan *p, struct slice key_id)
{
    return p->sync && p->doc.has_keys && !config_doc_names_key(&p->doc, key_id);
}

static bool waive_revokes(struct config_plan *p, struct write *w)
{
    struct buf why = {.len = 0};
    p->too_many = catalog_plan_waives(w, &why);
    if (p->too_many)
        warn(p, "", buf_cstr(&why));
    buf_fini(&why);
    return p->too_many;
}

static bool check_revokes(struct config_plan *p, struct write *w, const struct present *now)
{
    uint64_t unwanted = 0, allowed = now->key_count * DELETES_PERCENT / 100;
    if (allowed < DELETES_MIN)
        allowed = DELETES_MIN;
    if (p->limited)
        allowed = p->max_deletes;
    for (size_t i = 0; i < now->key_count; i++)
        unwanted += is_unwanted(p, now->keys[i].id);
    if (unwanted <= allowed || p->revisions > 0)
        return true;
    problem_set(&w->problem, PROBLEM_TOO_MANY_DELETES,
                "It would revoke %llu of %zu keys; max_deletes is %llu.",
                (unsigned long long)unwanted, now->key_count, (unsigned long long)allowed);
    buf_printf(&w->problem.members, ",\"revokes\":%llu,\"max_deletes\":%llu",
               (unsigned long long)unwanted, (unsigned long long)allowed);
    return waive_revokes(p, w);
}

// Will there be such a model?
static bool is_target(const struct config_plan *p, const struct present *now, struct slice id)
{
    if (json_object_getn(p->catalog.import.ids, id.ptr, id.len) != NULL)
        return true;
    return !p->catalog.replace && records_find(now->models, now->model_count, id).ptr != NULL;
}

// An alias that pointed nowhere before may do so on.
static void check_aliases(struct config_plan *p, const struct present *now, size_t i,
                          struct mistakes *mistakes)
{
    const struct key_doc *k = p->doc.keys[i];
    struct key_doc *before =
        key_doc_parse(records_find(now->keys, now->key_count, slice_of(k->id)));
    for (size_t n = 0; n < json_array_size(k->aliases); n++) {
        const json_t *alias = json_array_get(k->aliases, n);
        char keys[MISTAKE_POINTER_MAX], aliases[MISTAKE_POINTER_MAX], one[MISTAKE_POINTER_MAX],
            at[MISTAKE_POINTER_MAX];
        struct slice target = doc_string(json_object_get(alias, "target"));
        if (is_target(p, now, target))
            continue;
        if (p->allow_missing || (before != NULL && key_aliases_has(before->aliases, alias) &&
                                 records_find(now->models, now->model_count, target).ptr == NULL)) {
            warn(p, k->id, "an alias of it points at no model");
            continue;
        }
        mistake_pointer_index(keys, "#/keys", i);
        mistake_pointer(aliases, keys, SLICE_LIT("aliases"));
        mistake_pointer_index(one, aliases, n);
        mistake_pointer(at, one, SLICE_LIT("target"));
        mistakes_add(mistakes, at, "alias_target_missing", "there is no model '%.*s'",
                     SLICE_FMT(target));
    }
    key_doc_destroy(before);
}

static bool check_targets(struct config_plan *p, struct write *w, const struct present *now)
{
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    if (p->revisions > 0)
        return true;
    for (size_t i = 0; i < p->doc.key_count; i++)
        check_aliases(p, now, i, &mistakes);
    if (mistakes.count == 0)
        return true;
    problem_set_mistakes(&w->problem, &mistakes);
    problem_set(&w->problem, PROBLEM_ALIAS_TARGET_MISSING,
                "%zu aliases would point at no model; ?allow_missing_target=true writes it all "
                "the same.",
                mistakes.count);
    return false;
}

// --- keys that are not there

static bool check_restorable(const struct config_plan *p, struct write *w,
                             const struct present *now)
{
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    for (size_t i = 0; i < p->doc.key_count; i++) {
        const struct key_doc *k = p->doc.keys[i];
        char at[MISTAKE_POINTER_MAX], pointer[MISTAKE_POINTER_MAX];
        if (k->secret_count > 0 || p->keys[i].settled ||
            records_find(now->keys, now->key_count, slice_of(k->id)).ptr != NULL)
            continue;
        mistake_pointer_index(at, "#/keys", i);
        mistake_pointer(pointer, at, SLICE_LIT("secret_sha256"));
        mistakes_add(&mistakes, pointer, "required",
                     "this key is not there, so its secret_sha256 is needed to restore it "
                     "(GET /config?include=key_hashes shows it)");
    }
    if (mistakes.count == 0)
        return true;
    problem_set_mistakes(&w->problem, &mistakes);
    return false;
}

// Asks what is known of the keys that are not there, as many as one revision can
// hold. False when nothing has to be asked.
static bool ask_restores(struct config_plan *p, struct write *w, const struct present *now)
{
    size_t asked = 0;
    if (p->asked)
        return false;
    p->asked = true;
    for (size_t i = 0; i < p->doc.key_count && (p->anew || asked < RESTORES_MAX); i++) {
        const struct key_doc *k = p->doc.keys[i];
        struct config_key *key = &p->keys[i];
        if (key->settled || records_find(now->keys, now->key_count, slice_of(k->id)).ptr != NULL)
            continue;
        key->gone_slot = fetch_gone_document(w->fetch, slice_of(k->id));
        for (size_t s = 0; s < k->secret_count; s++)
            key->record_slots[s] = fetch_key_record(w->fetch, &k->secrets[s].digest);
        key->asked = true;
        asked++;
    }
    return asked > 0;
}

// What is known of it beside the store. NULL = nothing.
static struct key_doc *find_later(const struct config_plan *p, const char *key_id)
{
    return p->denied == NULL ? NULL : replay_key_document(p->denied, key_id);
}

static bool has_denied_secret(const struct config_plan *p, const struct key_doc *k)
{
    for (size_t i = 0; p->denied != NULL && i < k->secret_count; i++)
        if (replay_denies(p->denied, &k->secrets[i].digest))
            return true;
    return false;
}

// The document is from before a rotation or a disabling that is known all the same.
static void catch_up(struct config_plan *p, struct key_doc *k, const struct key_doc *later)
{
    if (has_denied_secret(p, k) && later->secret_count > 0 && !has_denied_secret(p, later)) {
        k->secret_count = later->secret_count;
        memcpy(k->secrets, later->secrets, sizeof(k->secrets));
        warn(p, k->id,
             "its secret was rotated after this document was made: the newer one is kept");
    }
    if (k->enabled && !later->enabled) {
        k->enabled = false;
        warn(p, k->id, "it was disabled after this document was made, and stays so");
    }
}

static const char *obstacle_of_secret(const struct config_plan *p, const struct write *w,
                                      const struct key_secret *s, size_t slot)
{
    struct slice text = fetch_result(w->fetch, slot);
    struct key *record = text.ptr == NULL ? NULL : key_parse(text);
    bool revoked = record != NULL && record->state == KEY_REVOKED;
    key_destroy(record);
    if (revoked || (p->denied != NULL && replay_denies(p->denied, &s->digest)))
        return "its secret was revoked, and stays so";
    return text.ptr != NULL && !p->anew ? "its secret belongs to another key" : NULL;
}

// What speaks against bringing it back as k; NULL = nothing.
static const char *obstacle(const struct config_plan *p, const struct write *w, size_t i,
                            const struct key_doc *k, const struct key_doc *later)
{
    const struct config_key *key = &p->keys[i];
    const struct key_doc *asked = p->doc.keys[i];
    const char *found = NULL;
    if (fetch_result(w->fetch, key->gone_slot).ptr != NULL ||
        (later != NULL && later->revoked_at != 0))
        return "it was revoked, and stays so";
    for (size_t s = 0; s < asked->secret_count && found == NULL; s++)
        if (key_doc_has(k, &asked->secrets[s].digest))
            found = obstacle_of_secret(p, w, &asked->secrets[s], key->record_slots[s]);
    return found;
}

// --- the commit

static enum write_verdict put_key(struct write *w, struct key_doc *before, struct key_doc *after)
{
    struct buf path = {.len = 0};
    buf_printf(&path, "/keys/%s", after->id);
    struct key_write k = {.before = before, .after = after, .path = buf_cstr(&path)};
    enum write_verdict verdict = key_write_commit(&k, w);
    buf_fini(&path);
    return verdict;
}

static void restore(struct config_plan *p, struct write *w, size_t i)
{
    struct config_key *key = &p->keys[i];
    struct key_doc *after = key_doc_copy(p->doc.keys[i]);
    struct key_doc *later = find_later(p, after->id);
    if (later != NULL && later->revoked_at == 0)
        catch_up(p, after, later);
    key->reason = obstacle(p, w, i, after, later);
    key->outcome = key->reason != NULL ? CONFIG_SKIPPED : CONFIG_CREATED;
    if (after->created_at == 0)
        after->created_at = w->now_s;
    if (key->reason == NULL)
        (void)put_key(w, NULL, after);
    key_doc_destroy(later);
    key_doc_destroy(after);
}

static void update(struct config_plan *p, struct write *w, size_t i, struct key_doc *before)
{
    const struct key_doc *wanted = p->doc.keys[i];
    struct key_doc *after = key_doc_copy(wanted);
    after->created_at = before->created_at;
    after->revision = before->revision;
    after->secret_count = before->secret_count;
    memcpy(after->secrets, before->secrets, sizeof(after->secrets));
    if (wanted->secret_count > 0 && !key_doc_has(before, &wanted->secrets[0].digest))
        warn(p, wanted->id, "it has another secret now, which was kept");
    p->keys[i].outcome =
        put_key(w, before, after) == WRITE_UNCHANGED ? CONFIG_UNCHANGED : CONFIG_UPDATED;
    key_doc_destroy(after);
}

// False when the revision is full before the end.
static bool put_keys(struct config_plan *p, struct write *w, const struct present *now)
{
    for (size_t i = 0; i < p->doc.key_count; i++)
        if (!p->keys[i].settled)
            p->keys[i].outcome = CONFIG_OPEN;
    for (size_t i = 0; i < p->doc.key_count; i++) {
        struct config_key *key = &p->keys[i];
        if (key->settled)
            continue;
        if (is_full(p, w))
            return false;
        struct slice text = records_find(now->keys, now->key_count, slice_of(p->doc.keys[i]->id));
        struct key_doc *before = key_doc_parse(text);
        if (before != NULL)
            update(p, w, i, before);
        else if (key->asked)
            restore(p, w, i);
        else
            return false; // its turn comes with the next revision
        key_doc_destroy(before);
    }
    return true;
}

static bool revoke_unwanted(struct config_plan *p, struct write *w, const struct present *now)
{
    for (size_t i = 0; i < now->key_count; i++) {
        struct key_doc *before =
            is_unwanted(p, now->keys[i].id) ? key_doc_parse(now->keys[i].text) : NULL;
        if (before == NULL)
            continue;
        if (is_full(p, w)) {
            key_doc_destroy(before);
            return false;
        }
        struct key_doc *after = key_doc_copy(before);
        after->revoked_at = w->now_s;
        (void)put_key(w, before, after);
        p->revoking++;
        key_doc_destroy(after);
        key_doc_destroy(before);
    }
    return true;
}

static bool fill(struct config_plan *p, struct write *w, const struct present *now)
{
    return revoke_unwanted(p, w, now) &&
           catalog_plan_put(&p->catalog, w, now->models, now->model_count) && put_keys(p, w, now) &&
           catalog_plan_delete(&p->catalog, w, now->models, now->model_count);
}

// --- the answer

static json_t *list_skipped(const struct config_plan *p)
{
    json_t *skipped = json_array();
    for (size_t i = 0; i < p->doc.key_count; i++)
        if (p->keys[i].outcome == CONFIG_SKIPPED)
            catalog_plan_line(skipped, p->doc.keys[i]->id, p->keys[i].reason);
    return skipped;
}

static void write_answer(struct config_plan *p, struct write *w)
{
    struct buf *out = &w->response.body;
    size_t counts[CONFIG_UNCHANGED + 1] = {0};
    bool changed = p->anew || (!w->request->dry_run && !commit_is_empty(w->commit));
    uint64_t revision = changed ? commit_revision(w->commit) : w->head->revision;
    json_t *skipped = list_skipped(p);
    const char *id;
    json_t *reason;
    for (size_t i = 0; i < p->doc.key_count; i++)
        counts[p->keys[i].outcome]++;
    json_object_foreach(p->catalog.warnings, id, reason)
        catalog_plan_line(p->warnings, id, json_string_value(reason));
    buf_printf(out, "{\"revision\":%llu,\"models\":{", (unsigned long long)revision);
    catalog_plan_counts(&p->catalog, out);
    buf_printf(out,
               "},\"keys\":{\"created\":%zu,\"updated\":%zu,\"unchanged\":%zu,\"revoked\":%zu},",
               counts[CONFIG_CREATED], counts[CONFIG_UPDATED], counts[CONFIG_UNCHANGED],
               p->revoked + p->revoking);
    buf_append_str(out, "\"skipped\":");
    doc_write(out, skipped);
    buf_append_str(out, ",\"warnings\":");
    doc_write(out, p->warnings);
    buf_append_str(out, p->too_many || p->catalog.too_many ? ",\"too_many_deletes\":true}" : "}");
    response_set_etag(&w->response, revision);
    w->response.status = 200;
    json_decref(skipped);
}

static enum write_verdict make(struct config_plan *p, struct write *w, const struct present *now)
{
    if (!check_binding(p, w) ||
        !catalog_plan_check(&p->catalog, w, now->models, now->model_count) ||
        !check_revokes(p, w, now) || !check_restorable(p, w, now) || !check_targets(p, w, now))
        return WRITE_REFUSED;
    bool asked = catalog_plan_ask_references(&p->catalog, w, now->models, now->model_count);
    if (ask_restores(p, w, now) || asked)
        return WRITE_READ_MORE;
    if (!fill(p, w, now))
        return WRITE_COMMIT_MORE;
    write_answer(p, w);
    return commit_is_empty(w->commit) ? WRITE_UNCHANGED : WRITE_COMMIT;
}

enum write_verdict config_plan_make(struct config_plan *p, struct write *w)
{
    struct record *models = NULL, *keys = NULL;
    struct present now = {.model_count = 0};
    if (!p->anew) {
        models = records_read(w->fetch, p->catalog.models_slot, &now.model_count);
        keys = records_read(w->fetch, p->documents_slot, &now.key_count);
    }
    now.models = models;
    now.keys = keys;
    catalog_plan_begin(&p->catalog);
    p->too_many = false;
    p->revoking = 0;
    json_decref(p->warnings);
    p->warnings = json_array();
    enum write_verdict verdict = make(p, w, &now);
    free(models);
    free(keys);
    return verdict;
}

void config_plan_committed(struct config_plan *p)
{
    catalog_plan_committed(&p->catalog);
    p->revisions++;
    p->revoked += p->revoking;
    p->revoking = 0;
    for (size_t i = 0; i < p->doc.key_count; i++)
        if (p->keys[i].outcome != CONFIG_OPEN)
            p->keys[i].settled = true;
}
