// SPDX-License-Identifier: Apache-2.0
// Of many writes to one object only the last one's result counts, so a replay is
// a map from objects to what they were in the end. A record that is brought back
// keeps the revision that it had: a worker that saw a later denial of it, which
// another admin still has to bring back, must not take it for a newer permission.
//
// Where something newer stands on an object, it stays. But what was denied is
// denied all the same: a key that was revoked is revoked, one that was disabled
// is disabled, a secret that was rotated away does not come back.
#include "admin/replay.h"

#include <stdlib.h>
#include <string.h>

#include "admin/json_diff.h"
#include "admin/key_write.h"
#include "common/model/doc.h"
#include "common/model/model.h"
#include "common/model/oplog.h"
#include "common/store/commit_image.h"

enum { AUDIT_MAX = 64 };

// --- collecting

struct adding {
    struct replay *replay;
    uint64_t revision;
};

static json_t *text_of(struct slice s)
{
    return s.ptr == NULL ? json_null() : json_stringn(s.ptr, s.len);
}

static void set(json_t *map, struct slice id, json_t *value)
{
    json_object_setn_new(map, id.ptr, id.len, value);
}

static json_t *make_item(uint64_t revision, const char *member, struct slice text)
{
    json_t *item = json_object();
    json_object_set_new(item, "revision", json_integer((json_int_t)revision));
    json_object_set_new(item, member, text_of(text));
    return item;
}

// Whose secret that record refuses for good; NULL when it does not.
static json_t *owner_of_tombstone(struct slice record)
{
    struct key *key = key_parse(record);
    json_t *owner = key != NULL && key->state == KEY_REVOKED ? json_string(key->id) : NULL;
    key_destroy(key);
    return owner;
}

static void add_object(void *ctx, enum commit_image_kind kind, struct slice id, struct slice text)
{
    const struct adding *a = ctx;
    struct replay *r = a->replay;
    json_t *item, *owner;
    switch (kind) {
    case COMMIT_IMAGE_MODEL:
    case COMMIT_IMAGE_UNMODEL:
        set(r->models, id, make_item(a->revision, "record", text));
        return;
    case COMMIT_IMAGE_DOCUMENT:
    case COMMIT_IMAGE_REVOKED:
        item = make_item(a->revision, "document", text);
        json_object_set_new(item, "revoked", json_boolean(kind == COMMIT_IMAGE_REVOKED));
        set(r->keys, id, item);
        return;
    case COMMIT_IMAGE_RECORD:
        owner = owner_of_tombstone(text);
        if (owner != NULL)
            set(r->denied, id, owner);
        else
            json_object_deln(r->denied, id.ptr, id.len);
        return;
    }
}

static void add_rest(struct replay *r, const struct commit_image *image)
{
    struct slice key = commit_image_idem_key(image), audit = commit_image_audit(image);
    struct doc_error error;
    if (key.ptr != NULL)
        set(r->outcomes, key, text_of(commit_image_outcome(image)));
    json_t *entry = audit.ptr == NULL ? NULL : doc_parse(audit, &error);
    if (entry != NULL && json_array_size(r->audit) < AUDIT_MAX)
        json_array_append(r->audit, entry);
    json_decref(entry);
}

static void begin(struct replay *r)
{
    if (r->models != NULL)
        return;
    r->models = json_object();
    r->keys = json_object();
    r->denied = json_object();
    r->outcomes = json_object();
    r->audit = json_array();
}

bool replay_add(struct replay *r, const struct journal *j, size_t i, const struct keyspace *k)
{
    struct adding adding = {.replay = r, .revision = journal_at(j, i)->revision};
    struct commit_image image;
    struct buf bytes = {.len = 0};
    begin(r);
    bool good = journal_image(j, i, &bytes) && commit_image_parse(buf_slice(&bytes), &image);
    buf_fini(&bytes);
    if (!good)
        return false;
    commit_image_each(&image, k, add_object, &adding);
    add_rest(r, &image);
    commit_image_fini(&image);
    return true;
}

void replay_keep_denials(struct replay *r)
{
    begin(r);
    json_object_clear(r->models);
    json_object_clear(r->outcomes);
    json_array_clear(r->audit);
}

void replay_seal(struct replay *r)
{
    const char *id;
    json_t *item;
    begin(r);
    r->model_items = xcalloc(json_object_size(r->models) + 1, sizeof(*r->model_items));
    r->key_items = xcalloc(json_object_size(r->keys) + 1, sizeof(*r->key_items));
    json_object_foreach(r->models, id, item) r->model_items[r->model_count++].id =
        slice_dup(slice_of(id));
    json_object_foreach(r->keys, id, item) r->key_items[r->key_count++].id =
        slice_dup(slice_of(id));
}

void replay_fini(struct replay *r)
{
    for (size_t i = 0; i < r->model_count; i++)
        free(r->model_items[i].id);
    for (size_t i = 0; i < r->key_count; i++)
        free(r->key_items[i].id);
    free(r->model_items);
    free(r->key_items);
    json_decref(r->models);
    json_decref(r->keys);
    json_decref(r->denied);
    json_decref(r->outcomes);
    json_decref(r->audit);
    *r = (struct replay){.models = NULL};
}

bool replay_denies(const struct replay *r, const struct secret_digest *digest)
{
    char hex[SECRET_HEX_LEN + 1];
    secret_digest_hex(digest, hex);
    return json_object_get(r->denied, hex) != NULL;
}

struct key_doc *replay_key_document(const struct replay *r, const char *key_id)
{
    const json_t *item = json_object_get(r->keys, key_id);
    return item == NULL ? NULL : key_doc_parse(doc_string(json_object_get(item, "document")));
}

// --- what stands there

void replay_branch_fini(struct replay_branch *b)
{
    json_decref(b->revisions);
    json_decref(b->removed);
    *b = (struct replay_branch){.common = 0};
}

void replay_branch_read(struct replay_branch *b, const struct fetch *f, size_t slot)
{
    json_decref(b->revisions);
    json_decref(b->removed);
    b->revisions = json_object();
    b->removed = json_object();
    for (size_t i = 0; i + 2 < fetch_list_count(f, slot); i += 3) {
        struct slice rest = fetch_list_at(f, slot, i + 2);
        struct oplog_op op;
        set(b->revisions, fetch_list_at(f, slot, i), json_true());
        while (oplog_next(&rest, &op) > 0)
            if (op.kind == OPLOG_REMOVE)
                set(b->removed, op.id, json_true());
    }
}

// Was what shows this revision written there later than a write of ours at `lost`?
static bool is_newer(const struct replay_branch *b, uint64_t revision, uint64_t lost)
{
    char text[24];
    if (b->unknown || revision >= lost)
        return true;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)revision);
    return revision > b->common && json_object_get(b->revisions, text) != NULL;
}

static uint64_t revision_of(const json_t *item)
{
    return (uint64_t)json_integer_value(json_object_get(item, "revision"));
}

// --- bringing it back

void replay_ask(struct replay *r, struct fetch *f)
{
    for (size_t i = 0; i < r->model_count; i++)
        if (!r->model_items[i].settled)
            r->model_items[i].slot = fetch_model(f, slice_of(r->model_items[i].id));
    for (size_t i = 0; i < r->key_count; i++) {
        struct replay_key *item = &r->key_items[i];
        if (item->settled)
            continue;
        item->doc_slot = fetch_key_document(f, slice_of(item->id));
        item->gone_slot = fetch_gone_document(f, slice_of(item->id));
    }
}

static void put_model(struct replay *r, struct write *w, const struct replay_model *item,
                      const struct replay_branch *branch)
{
    struct doc_error error;
    struct slice id = slice_of(item->id), there = fetch_result(w->fetch, item->slot);
    const json_t *wanted = json_object_get(r->models, item->id);
    struct slice record = doc_string(json_object_get(wanted, "record"));
    json_t *before = there.ptr == NULL ? NULL : doc_parse(there, &error);
    bool removed = json_object_get(branch->removed, item->id) != NULL;
    if (slice_equal(there, record) || removed ||
        is_newer(branch, before == NULL ? 0 : revision_of(before), revision_of(wanted))) {
        json_decref(before);
        return;
    }
    json_t *after = record.ptr == NULL ? NULL : doc_parse(record, &error);
    struct buf path = {.len = 0};
    buf_append_str(&path, "/models");
    json_diff_path(&path, id);
    json_diff_add(w->diff, buf_slice(&path), before, after);
    if (record.ptr != NULL)
        commit_put_model(w->commit, id, there, record);
    else
        commit_remove_model(w->commit, id, there);
    r->restoring++;
    buf_fini(&path);
    json_decref(before);
    json_decref(after);
}

// Takes off the secrets that are denied. A key needs one: without any it is revoked.
static void drop_denied(const struct replay *r, struct key_doc *k, int64_t now_s)
{
    size_t kept = 0;
    struct key_secret secrets[KEY_SECRETS_MAX];
    for (size_t i = 0; i < k->secret_count; i++)
        if (!replay_denies(r, &k->secrets[i].digest))
            secrets[kept++] = k->secrets[i];
    if (kept == k->secret_count)
        return;
    if (kept == 0) {
        k->revoked_at = now_s;
        return;
    }
    memcpy(k->secrets, secrets, kept * sizeof(secrets[0]));
    k->secret_count = kept;
}

// What stands there, with the denials of what was lost.
static struct key_doc *deny(const struct replay *r, const struct key_doc *there,
                            const struct key_doc *lost, int64_t now_s)
{
    struct key_doc *after = key_doc_copy(there);
    if (lost->revoked_at != 0) {
        after->revoked_at = lost->revoked_at;
        return after;
    }
    if (!lost->enabled)
        after->enabled = false;
    drop_denied(r, after, now_s);
    return after;
}

static void put_key(struct replay *r, struct write *w, const struct replay_key *item,
                    const struct replay_branch *branch)
{
    const json_t *wanted = json_object_get(r->keys, item->id);
    struct key_doc *lost = key_doc_parse(doc_string(json_object_get(wanted, "document")));
    struct key_doc *there = key_doc_parse(fetch_result(w->fetch, item->doc_slot));
    bool gone = fetch_result(w->fetch, item->gone_slot).ptr != NULL;
    struct buf path = {.len = 0};
    buf_printf(&path, "/keys/%s", item->id);
    struct key_write k = {.path = buf_cstr(&path), .before = there};
    bool newer = is_newer(branch, there == NULL ? 0 : there->revision, revision_of(wanted));
    if (lost != NULL && !gone) {
        if (!newer) {
            k.after = key_doc_copy(lost);
            k.revision = lost->revision;
        } else if (there != NULL) {
            k.after = deny(r, there, lost, w->now_s);
        } else if (lost->revoked_at != 0) {
            k.after = key_doc_copy(lost); // else a document could bring it back
        }
    }
    if (k.after != NULL && key_write_commit(&k, w) == WRITE_COMMIT) {
        r->restoring++;
        r->ending += there != NULL && k.after->revoked_at != 0;
    }
    key_doc_destroy(k.after);
    key_doc_destroy(there);
    key_doc_destroy(lost);
    buf_fini(&path);
}

static void put_outcomes(const struct replay *r, struct write *w)
{
    const char *key;
    json_t *outcome;
    json_object_foreach(r->outcomes, key, outcome)
        commit_restore_idem(w->commit, slice_of(key), doc_string(outcome));
}

static bool is_full(const struct write *w)
{
    return commit_records(w->commit) + KEY_SECRETS_MAX >= COMMIT_RECORDS_MAX;
}

static void unplan(struct replay *r)
{
    r->restoring = 0;
    r->ending = 0;
    for (size_t i = 0; i < r->key_count; i++)
        r->key_items[i].planned = false;
    for (size_t i = 0; i < r->model_count; i++)
        r->model_items[i].planned = false;
}

// Keys first: what must be denied is denied by the first revision.
bool replay_fill(struct replay *r, struct write *w, const struct replay_branch *branch)
{
    unplan(r);
    for (size_t i = 0; i < r->key_count; i++) {
        if (r->key_items[i].settled)
            continue;
        if (is_full(w))
            return false;
        put_key(r, w, &r->key_items[i], branch);
        r->key_items[i].planned = true;
    }
    for (size_t i = 0; i < r->model_count; i++) {
        if (r->model_items[i].settled)
            continue;
        if (is_full(w))
            return false;
        put_model(r, w, &r->model_items[i], branch);
        r->model_items[i].planned = true;
    }
    put_outcomes(r, w);
    return true;
}

void replay_bury(const struct replay *r, struct write *w)
{
    const char *hex;
    json_t *owner;
    struct secret_digest digest;
    for (size_t i = 0; i < r->key_count; i++) {
        struct slice id = slice_of(r->key_items[i].id);
        const json_t *item = json_object_getn(r->keys, id.ptr, id.len);
        struct slice text = doc_string(json_object_get(item, "document"));
        if (json_is_true(json_object_get(item, "revoked")) && !r->key_items[i].planned)
            commit_revoke_document(w->commit, id, text, w->now_s);
    }
    json_object_foreach(r->denied, hex, owner) if (secret_digest_parse(slice_of(hex), &digest))
        key_write_tombstone(w, json_string_value(owner), &digest);
}

void replay_committed(struct replay *r)
{
    for (size_t i = 0; i < r->key_count; i++)
        r->key_items[i].settled |= r->key_items[i].planned;
    for (size_t i = 0; i < r->model_count; i++)
        r->model_items[i].settled |= r->model_items[i].planned;
    r->restored += r->restoring;
    unplan(r);
}
