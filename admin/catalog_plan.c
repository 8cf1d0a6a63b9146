// SPDX-License-Identifier: Apache-2.0
// An import is declarative: each attempt compares what is wanted with what is
// there and commits at most COMMIT_RECORDS_MAX differences; the rest follows in
// further revisions, each whole. Sent again after an interruption it finds the
// first part unchanged.
//
// What the operator decided and the foreign format cannot say is kept: a model
// that was disabled stays so, a date that was set stays where the import has none.
// Entries that were skipped are still mentioned: a replace does not delete them.
#include "admin/catalog_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/json_diff.h"
#include "admin/records.h"
#include "common/model/doc.h"
#include "common/model/model.h"

enum { DELETES_MIN = 10, DELETES_PERCENT = 10 };

struct catalog_item {
    enum catalog_outcome outcome;
    bool settled; // in a revision that was committed, or found unchanged before one
    char *reason; // of an entry that the validator refused
};

void catalog_plan_fini(struct catalog_plan *p)
{
    for (size_t i = 0; p->items != NULL && i < p->import.count; i++)
        free(p->items[i].reason);
    free(p->items);
    json_decref(p->refs);
    json_decref(p->warnings);
    import_fini(&p->import);
}

void catalog_plan_ask(struct catalog_plan *p, struct fetch *f)
{
    p->models_slot = fetch_all_models(f);
    p->refs_asked = false;
}

static json_t *parse(struct slice text)
{
    struct doc_error error;
    return text.ptr == NULL ? NULL : doc_parse(text, &error);
}

// The entry as a whole model, NULL with *reason when it is not valid.
static json_t *complete(const struct catalog_plan *p, const struct import_entry *entry,
                        const json_t *before, int64_t now_s, char **reason)
{
    struct mistakes mistakes;
    const json_t *created = json_object_get(before, "created");
    json_t *doc = json_copy(entry->doc);
    mistakes_init(&mistakes);
    if (before != NULL && !p->import.carries_status)
        json_object_set(doc, "status", json_object_get(before, "status"));
    json_t *after = model_complete(
        doc, slice_of(entry->id), created == NULL ? now_s : json_integer_value(created), &mistakes);
    if (after == NULL) {
        struct buf text = {.len = 0};
        size_t len;
        buf_printf(&text, "%s: %s", mistakes.items[0].pointer, mistakes.items[0].detail);
        buf_append_char(&text, '\0');
        free(*reason);
        *reason = buf_steal(&text, &len);
    }
    json_decref(doc);
    return after;
}

static void add_diff(struct write *w, const char *id, const json_t *before, const json_t *after)
{
    struct buf path = {.len = 0};
    buf_append_str(&path, "/models");
    json_diff_path(&path, slice_of(id));
    if (before != NULL && after != NULL)
        json_diff_objects(w->diff, buf_cstr(&path), before, after, "revision");
    else
        json_diff_add(w->diff, buf_slice(&path), before, after);
    buf_fini(&path);
}

static void put(struct write *w, const char *id, struct slice old, const json_t *after)
{
    struct buf record = {.len = 0};
    model_write_record(&record, after, commit_revision(w->commit));
    commit_put_model(w->commit, slice_of(id), old, buf_slice(&record));
    buf_fini(&record);
}

// Judges entry i against the record that is there.
static void judge(struct catalog_plan *p, struct write *w, size_t i, struct slice old)
{
    const struct import_entry *entry = &p->import.entries[i];
    struct catalog_item *item = &p->items[i];
    if (entry->doc == NULL) {
        item->outcome = CATALOG_SKIPPED;
        return;
    }
    json_t *before = parse(old);
    json_t *after = complete(p, entry, before, w->now_s, &item->reason);
    if (after == NULL) {
        item->outcome = CATALOG_SKIPPED;
    } else if (before != NULL && model_same(before, after)) {
        item->outcome = CATALOG_UNCHANGED;
    } else {
        item->outcome = before == NULL ? CATALOG_CREATED : CATALOG_UPDATED;
        put(w, entry->id, old, after);
        add_diff(w, entry->id, before, after);
    }
    json_decref(before);
    json_decref(after);
}

static bool is_full(const struct catalog_plan *p, const struct write *w)
{
    return !p->at_once && !w->request->dry_run && commit_records(w->commit) >= COMMIT_RECORDS_MAX;
}

bool catalog_plan_put(struct catalog_plan *p, struct write *w, const struct record *records,
                      size_t count)
{
    for (size_t i = 0; i < p->import.count; i++)
        if (!p->items[i].settled)
            p->items[i].outcome = CATALOG_OPEN;
    for (size_t i = 0; i < p->import.count; i++) {
        if (p->items[i].settled)
            continue;
        if (is_full(p, w))
            return false;
        judge(p, w, i, records_find(records, count, slice_of(p->import.entries[i].id)));
    }
    return true;
}

static bool is_unwanted(const struct catalog_plan *p, struct slice id)
{
    return p->replace && json_object_getn(p->import.ids, id.ptr, id.len) == NULL;
}

static void warn(struct catalog_plan *p, const struct write *w, struct slice id)
{
    const json_t *slot = json_object_getn(p->refs, id.ptr, id.len);
    size_t keys = slot == NULL ? 0 : fetch_list_count(w->fetch, (size_t)json_integer_value(slot));
    char reason[96];
    if (keys == 0)
        return;
    snprintf(reason, sizeof(reason), "deleted, but aliases of %zu %s point at it", keys,
             keys == 1 ? "key" : "keys");
    json_object_setn_new(p->warnings, id.ptr, id.len, json_string(reason));
}

bool catalog_plan_delete(struct catalog_plan *p, struct write *w, const struct record *records,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_unwanted(p, records[i].id))
            continue;
        if (is_full(p, w))
            return false;
        char *id = slice_dup(records[i].id);
        json_t *before = parse(records[i].text);
        commit_remove_model(w->commit, records[i].id, records[i].text);
        add_diff(w, id, before, NULL);
        warn(p, w, records[i].id);
        p->deleting++;
        json_decref(before);
        free(id);
    }
    return true;
}

// Who points at what would be deleted?
bool catalog_plan_ask_references(struct catalog_plan *p, struct write *w,
                                 const struct record *records, size_t count)
{
    if (p->refs_asked)
        return false;
    p->refs_asked = true;
    json_decref(p->refs);
    p->refs = json_object();
    for (size_t i = 0; i < count; i++) {
        struct slice id = records[i].id;
        if (is_unwanted(p, records[i].id))
            json_object_setn_new(p->refs, id.ptr, id.len,
                                 json_integer((json_int_t)fetch_refs(w->fetch, id)));
    }
    return json_object_size(p->refs) > 0;
}

bool catalog_plan_waives(struct write *w, struct buf *why)
{
    if (!w->request->dry_run)
        return false;
    buf_append_slice(why, buf_slice(&w->problem.detail));
    problem_fini(&w->problem);
    return true;
}

// A dry run is asked for in order to see what it is that would be too much.
static bool waive(struct catalog_plan *p, struct write *w)
{
    struct buf why = {.len = 0};
    p->too_many = catalog_plan_waives(w, &why);
    if (p->too_many)
        json_object_set_new(p->warnings, "", json_stringn(why.ptr, why.len));
    buf_fini(&why);
    return p->too_many;
}

bool catalog_plan_check(struct catalog_plan *p, struct write *w, const struct record *records,
                        size_t count)
{
    uint64_t unwanted = 0;
    uint64_t allowed = count * DELETES_PERCENT / 100;
    if (allowed < DELETES_MIN)
        allowed = DELETES_MIN;
    if (p->limited)
        allowed = p->max_deletes;
    for (size_t i = 0; i < count; i++)
        unwanted += is_unwanted(p, records[i].id);
    if (unwanted <= allowed || p->revisions > 0)
        return true;
    problem_set(&w->problem, PROBLEM_TOO_MANY_DELETES,
                "It would delete %llu of %zu models; max_deletes is %llu.",
                (unsigned long long)unwanted, count, (unsigned long long)allowed);
    buf_printf(&w->problem.members, ",\"deletes\":%llu,\"max_deletes\":%llu",
               (unsigned long long)unwanted, (unsigned long long)allowed);
    return waive(p, w);
}

void catalog_plan_line(json_t *list, const char *id, const char *reason)
{
    json_t *line = json_object();
    json_object_set_new(line, "id", id[0] == '\0' ? json_null() : json_string(id));
    json_object_set_new(line, "reason", json_string(reason));
    json_array_append_new(list, line);
}

void catalog_plan_counts(const struct catalog_plan *p, struct buf *out)
{
    size_t counts[CATALOG_UNCHANGED + 1] = {0};
    for (size_t i = 0; i < p->import.count; i++)
        counts[p->items[i].outcome]++;
    buf_printf(out, "\"created\":%zu,\"updated\":%zu,\"unchanged\":%zu,\"deleted\":%zu",
               counts[CATALOG_CREATED], counts[CATALOG_UPDATED], counts[CATALOG_UNCHANGED],
               p->deleted + p->deleting);
}

static void write_answer(const struct catalog_plan *p, struct buf *out)
{
    json_t *skipped = json_array(), *warnings = json_array();
    const char *id;
    json_t *reason;
    for (size_t i = 0; i < p->import.count; i++) {
        const struct import_entry *entry = &p->import.entries[i];
        if (p->items[i].outcome == CATALOG_SKIPPED)
            catalog_plan_line(skipped, entry->id,
                              entry->reason != NULL ? entry->reason : p->items[i].reason);
    }
    json_object_foreach(p->warnings, id, reason)
        catalog_plan_line(warnings, id, json_string_value(reason));
    buf_append_char(out, '{');
    catalog_plan_counts(p, out);
    buf_append_str(out, ",\"skipped\":");
    doc_write(out, skipped);
    buf_append_str(out, ",\"warnings\":");
    doc_write(out, warnings);
    buf_append_str(out, p->too_many ? ",\"too_many_deletes\":true}" : "}");
    json_decref(skipped);
    json_decref(warnings);
}

static enum write_verdict make(struct catalog_plan *p, struct write *w,
                               const struct record *records, size_t count)
{
    if (!catalog_plan_check(p, w, records, count))
        return WRITE_REFUSED;
    if (catalog_plan_ask_references(p, w, records, count))
        return WRITE_READ_MORE;
    if (!catalog_plan_put(p, w, records, count) || !catalog_plan_delete(p, w, records, count))
        return WRITE_COMMIT_MORE;
    w->response.status = 200;
    write_answer(p, &w->response.body);
    return commit_records(w->commit) == 0 ? WRITE_UNCHANGED : WRITE_COMMIT;
}

void catalog_plan_begin(struct catalog_plan *p)
{
    if (p->items == NULL)
        p->items = xcalloc(p->import.count, sizeof(*p->items));
    p->deleting = 0;
    p->too_many = false;
    if (p->warnings == NULL || p->revisions == 0) {
        json_decref(p->warnings);
        p->warnings = json_object();
    }
}

enum write_verdict catalog_plan_make(struct catalog_plan *p, struct write *w)
{
    size_t count;
    struct record *records = records_read(w->fetch, p->models_slot, &count);
    catalog_plan_begin(p);
    enum write_verdict verdict = make(p, w, records, count);
    free(records);
    return verdict;
}

void catalog_plan_committed(struct catalog_plan *p)
{
    p->revisions++;
    p->deleted += p->deleting;
    p->deleting = 0;
    for (size_t i = 0; i < p->import.count; i++)
        if (p->items[i].outcome != CATALOG_OPEN)
            p->items[i].settled = true;
}
