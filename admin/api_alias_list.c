// SPDX-License-Identifier: Apache-2.0
// GET /aliases: the aliases of all keys, flat, by key id and then in the order of
// the key's own list. An entry's cursor is <key id>/<match>/<name>.
//
// A page may end inside a key. The next one starts with that key again and leaves
// out what lies before the cursor; where the cursor's alias is gone meanwhile,
// nothing of the key is left out: seeing an alias twice is better than never.
#include <string.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/key_aliases.h"
#include "admin/key_walk.h"
#include "admin/paging.h"
#include "common/base/clock.h"
#include "common/model/doc.h"
#include "common/model/names.h"

struct alias_list_state {
    struct paging paging;
    struct paging_list list;
    struct key_walk walk;
    int64_t now_s;
    bool broken;
    json_t *active; // ?broken=true: the ids of active models, read in the first round
    size_t models_slot;
    char first_key[KEY_ID_MAX + 1]; // the cursor's key
};

static void state_fini(void *state)
{
    struct alias_list_state *s = state;
    json_decref(s->active);
    paging_list_fini(&s->list);
}

static void ask_list(struct reading *r)
{
    struct alias_list_state *s = r->request->state;
    key_walk_ask(&s->walk, r->fetch, s->now_s);
    if (s->broken && s->active == NULL)
        s->models_slot = fetch_all_models(r->fetch);
}

static void read_active(struct alias_list_state *s, const struct fetch *f)
{
    s->active = json_object();
    for (size_t i = 0; i + 1 < fetch_list_count(f, s->models_slot); i += 2) {
        struct doc_error error;
        struct slice id = fetch_list_at(f, s->models_slot, i);
        json_t *record = doc_parse(fetch_list_at(f, s->models_slot, i + 1), &error);
        if (slice_equal(doc_string(json_object_get(record, "status")), SLICE_LIT("active")))
            json_object_setn_new(s->active, id.ptr, id.len, json_true());
        json_decref(record);
    }
}

static bool passes(const struct alias_list_state *s, const struct query *q, const json_t *alias)
{
    struct slice wanted = query_get(q, "target");
    struct slice target = doc_string(json_object_get(alias, "target"));
    return (wanted.ptr == NULL || slice_equal(target, wanted)) &&
           (!s->broken || json_object_getn(s->active, target.ptr, target.len) == NULL);
}

static void append_id(struct buf *out, const struct key_doc *k, const json_t *alias)
{
    buf_clear(out);
    buf_printf(out, "%s/", k->id);
    buf_append_slice(out, doc_string(json_object_get(alias, "match")));
    buf_append_char(out, '/');
    buf_append_slice(out, doc_string(json_object_get(alias, "name")));
}

static void add(struct alias_list_state *s, const struct key_doc *k, const json_t *alias,
                struct slice id)
{
    json_t *shown = json_object();
    json_object_set_new(shown, "key_id", json_string(k->id));
    json_object_update(shown, (json_t *)(uintptr_t)alias);
    doc_write(paging_add(&s->list, id), shown);
    json_decref(shown);
}

// How many of the key's aliases, in reading order, lie up to the cursor.
static size_t count_read(const struct alias_list_state *s, const struct key_doc *k)
{
    struct slice cursor = s->walk.backward ? s->paging.before : s->paging.after;
    size_t count = json_array_size(k->aliases), read = 0;
    struct buf id = {.len = 0};
    if (strcmp(k->id, s->first_key) != 0)
        return 0;
    for (size_t i = 0; i < count && read == 0; i++) {
        append_id(&id, k, json_array_get(k->aliases, s->walk.backward ? count - 1 - i : i));
        if (slice_equal(buf_slice(&id), cursor))
            read = i + 1;
    }
    buf_fini(&id);
    return read;
}

static void collect(struct alias_list_state *s, const struct query *q, const struct key_doc *k)
{
    size_t count = json_array_size(k->aliases);
    struct buf id = {.len = 0};
    for (size_t i = count_read(s, k); i < count && !paging_is_full(&s->paging, &s->list); i++) {
        const json_t *alias = json_array_get(k->aliases, s->walk.backward ? count - 1 - i : i);
        append_id(&id, k, alias);
        if (passes(s, q, alias))
            add(s, k, alias, buf_slice(&id));
    }
    buf_fini(&id);
}

static enum reading_verdict answer_list(struct reading *r)
{
    struct alias_list_state *s = r->request->state;
    if (key_walk_step(&s->walk, r->fetch) == READING_MORE)
        return READING_MORE;
    if (s->broken && s->active == NULL)
        read_active(s, r->fetch);
    for (size_t i = 0; i < s->walk.count && !paging_is_full(&s->paging, &s->list); i++) {
        struct key_doc *k = key_walk_document(&s->walk, r->fetch, i);
        if (k != NULL)
            collect(s, &r->request->query, k);
        key_doc_destroy(k);
    }
    if (s->walk.count > 0 && !paging_is_full(&s->paging, &s->list))
        return READING_AGAIN;
    paging_write(&r->response.body, &s->paging, &s->list);
    return READING_DONE;
}

// The walk's cursor lies just beside the key that the client's cursor is in, so
// that this key is read again. Ids have one length: one byte less sorts before
// it, one more behind it.
static bool take_cursor(struct alias_list_state *s, struct problem *problem)
{
    struct slice cursor = paging_is_backward(&s->paging) ? s->paging.before : s->paging.after;
    struct slice id = slice_take(&cursor, '/');
    s->walk.backward = paging_is_backward(&s->paging);
    if (id.len == 0)
        return true;
    if (!names_is_key_id(id)) {
        problem_set(problem, PROBLEM_INVALID_PARAMETER,
                    "after_id and before_id must be ids of aliases, as in last_id");
        return false;
    }
    memcpy(s->first_key, id.ptr, id.len);
    memcpy(s->walk.cursor, id.ptr, id.len);
    if (s->walk.backward)
        s->walk.cursor[id.len] = '!';
    else
        s->walk.cursor[id.len - 1] = '\0';
    return true;
}

void api_aliases_list(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask_list, .answer = answer_list};
    struct alias_list_state *s = request_state(r, sizeof(*s), state_fini);
    struct problem problem = {.code = PROBLEM_NONE};
    struct slice target = query_get(&r->query, "target");
    s->now_s = clock_wall_s();
    s->walk.source = target.ptr != NULL ? KEY_WALK_REFERRING : KEY_WALK_LIVE;
    s->walk.model_id = target;
    if (!paging_take(&s->paging, &r->query, &problem) || !take_cursor(s, &problem) ||
        !query_bool(&r->query, "broken", &s->broken, &problem))
        response_send_problem(r, &problem, SLICE_NONE);
    else
        reading_start(r, &plan);
}
