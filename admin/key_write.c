// SPDX-License-Identifier: Apache-2.0
// A secret that is taken off a key is refused at once and everywhere: its record
// becomes a tombstone and the log says "deny". So is every secret of a key that
// is disabled or revoked.
#include "admin/key_write.h"

#include <stdlib.h>
#include <string.h>

#include "admin/json_diff.h"
#include "admin/key_aliases.h"
#include "admin/key_view.h"
#include "common/model/doc.h"
#include "common/model/names.h"

void key_write_fini(struct key_write *k)
{
    key_doc_destroy(k->before);
    key_doc_destroy(k->after);
    for (size_t i = 0; i < k->target_count; i++)
        free(k->targets[i].model_id);
    free(k->targets);
    *k = (struct key_write){.before = NULL};
}

void key_write_ask(struct key_write *k, struct request *r, struct fetch *f)
{
    k->doc_slot = fetch_key_document(f, r->args[0]);
    k->gone_slot = fetch_gone_document(f, r->args[0]);
}

struct key_doc *key_write_read(const struct key_write *k, const struct fetch *f)
{
    struct key_doc *live = key_doc_parse(fetch_result(f, k->doc_slot));
    return live != NULL ? live : key_doc_parse(fetch_result(f, k->gone_slot));
}

bool key_write_load(struct key_write *k, struct write *w)
{
    key_doc_destroy(k->before);
    key_doc_destroy(k->after);
    k->before = key_doc_parse(fetch_result(w->fetch, k->doc_slot));
    k->after = NULL;
    if (k->before != NULL) {
        k->after = key_doc_copy(k->before);
        return true;
    }
    if (fetch_result(w->fetch, k->gone_slot).ptr != NULL)
        problem_set(&w->problem, PROBLEM_KEY_REVOKED, "This key is revoked.");
    else
        problem_set(&w->problem, PROBLEM_NOT_FOUND, "There is no such key.");
    return false;
}

bool key_write_precondition(const struct key_write *k, struct write *w, bool exists)
{
    struct response now = {.status = 0};
    response_set_etag(&now, k->before->revision);
    return request_precondition(w->request, now.etag, exists, &w->problem);
}

void key_write_need_targets(struct key_write *k, const json_t *aliases)
{
    if (k->allow_missing)
        return;
    k->targets = xcalloc(json_array_size(aliases), sizeof(*k->targets));
    for (size_t i = 0; i < json_array_size(aliases); i++) {
        const json_t *alias = json_array_get(aliases, i);
        k->targets[k->target_count++].model_id =
            slice_dup(doc_string(json_object_get(alias, "target")));
    }
}

void key_write_ask_targets(struct key_write *k, struct fetch *f)
{
    for (size_t i = 0; i < k->target_count; i++)
        k->targets[i].slot = fetch_model_exists(f, slice_of(k->targets[i].model_id));
}

// Did the key have an alias to this model already?
static bool pointed_there(const struct key_write *k, const char *model_id)
{
    return k->before != NULL && key_aliases_targets(k->before->aliases, slice_of(model_id));
}

bool key_write_check_targets(const struct key_write *k, struct write *w, const char *pointer,
                             bool single)
{
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    for (size_t i = 0; i < k->target_count; i++) {
        char at[MISTAKE_POINTER_MAX], target[MISTAKE_POINTER_MAX];
        const char *id = k->targets[i].model_id;
        if (fetch_result(w->fetch, k->targets[i].slot).ptr != NULL || pointed_there(k, id))
            continue;
        mistake_pointer_index(at, pointer, i);
        mistake_pointer(target, at, SLICE_LIT("target"));
        mistakes_add(&mistakes, single ? pointer : target, "alias_target_missing",
                     "there is no model '%s'", id);
    }
    if (mistakes.count == 0)
        return true;
    problem_set_mistakes(&w->problem, &mistakes);
    problem_set(
        &w->problem, PROBLEM_ALIAS_TARGET_MISSING,
        "%zu of the targets %s no model; ?allow_missing_target=true writes it all the same.",
        mistakes.count, mistakes.count == 1 ? "is" : "are");
    return false;
}

static void put_tombstone(struct write *w, const char *key_id, uint64_t revision,
                          const struct secret_digest *digest)
{
    struct buf record = {.len = 0};
    key_write_record(&record, revision, key_id, KEY_REVOKED, 0, NULL);
    commit_put_key(w->commit, digest, buf_slice(&record), true, COMMIT_TOMBSTONE_S);
    buf_fini(&record);
}

void key_write_tombstone(struct write *w, const char *key_id, const struct secret_digest *digest)
{
    put_tombstone(w, key_id, commit_revision(w->commit), digest);
}

static void put_record(struct write *w, const struct key_doc *k, size_t i)
{
    struct buf record = {.len = 0};
    struct key_projection p = key_doc_project(k, i, k->revision, w->now_s, &record);
    commit_put_key(w->commit, &k->secrets[i].digest, buf_slice(&record), p.deny, p.ttl_s);
    buf_fini(&record);
}

static void put_records(const struct key_write *k, struct write *w)
{
    const struct key_doc *before = k->before, *after = k->after;
    for (size_t i = 0; i < after->secret_count; i++) {
        if (after->revoked_at != 0)
            put_tombstone(w, after->id, after->revision, &after->secrets[i].digest);
        else
            put_record(w, after, i);
    }
    for (size_t i = 0; before != NULL && i < before->secret_count; i++) {
        const struct key_secret *s = &before->secrets[i];
        bool lapsed = s->until != 0 && s->until <= w->now_s; // nobody accepts it any more
        if (!lapsed && !key_doc_has(after, &s->digest))
            put_tombstone(w, after->id, after->revision, &s->digest);
    }
}

// Calls change for each model that only `one` points at.
static void each_difference(const struct key_doc *one, const struct key_doc *other,
                            struct commit *c, const char *key_id,
                            void (*change)(struct commit *, struct slice, struct slice))
{
    if (one == NULL || one->revoked_at != 0)
        return;
    for (size_t i = 0; i < json_array_size(one->aliases); i++) {
        struct slice target =
            doc_string(json_object_get(json_array_get(one->aliases, i), "target"));
        if (other == NULL || other->revoked_at != 0 || !key_aliases_targets(other->aliases, target))
            change(c, target, slice_of(key_id));
    }
}

static void put_diff(const struct key_write *k, struct write *w)
{
    json_t *before = k->before == NULL ? NULL : key_view(k->before, w->now_s);
    json_t *after = key_view(k->after, w->now_s);
    json_diff_objects(w->diff, k->path == NULL ? "" : k->path, before, after, "revision");
    json_decref(before);
    json_decref(after);
}

enum write_verdict key_write_commit(struct key_write *k, struct write *w)
{
    struct buf document = {.len = 0};
    struct slice id = slice_of(k->after->id);
    if (k->before != NULL && key_doc_same(k->before, k->after))
        return WRITE_UNCHANGED;
    k->after->revision = k->revision != 0 ? k->revision : commit_revision(w->commit);
    key_doc_drop_lapsed(k->after, w->now_s);
    put_diff(k, w);
    put_records(k, w);
    key_doc_write(&document, k->after);
    if (k->after->revoked_at != 0)
        commit_revoke_document(w->commit, id, buf_slice(&document), w->now_s);
    else
        commit_put_document(w->commit, id, buf_slice(&document));
    buf_fini(&document);
    each_difference(k->before, k->after, w->commit, k->after->id, commit_remove_ref);
    each_difference(k->after, k->before, w->commit, k->after->id, commit_add_ref);
    return WRITE_COMMIT;
}
