// SPDX-License-Identifier: Apache-2.0
// The whole configuration as one document: shown, compared, applied.
#include <stdlib.h>

#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/config_plan.h"
#include "admin/reading.h"
#include "admin/records.h"
#include "common/base/clock.h"
#include "common/base/log.h"

// --- GET /config
//
// All of it is read in one pipeline with the head before and after: equal heads
// mean that nothing was written between, so that the document is one revision.

enum { READS_MAX = 8 };

struct export
{
    bool hashes;
    unsigned reads;
    size_t models_slot, documents_slot, head_slot;
};

static void ask_export(struct reading *r)
{
    struct export *e = r->request->state;
    e->models_slot = fetch_all_models(r->fetch);
    e->documents_slot = fetch_all_documents(r->fetch);
    e->head_slot = fetch_head_again(r->fetch);
}

static bool has_moved(const struct reading *r)
{
    const struct export *e = r->request->state;
    char change[HEAD_ID_HEX_LEN + 1];
    head_id_hex(r->head.change, change);
    return fetch_list_count(r->fetch, e->head_slot) != 2 ||
           !slice_equal(fetch_list_at(r->fetch, e->head_slot, 1), slice_of(change));
}

static void write_models(const struct reading *r, struct buf *out)
{
    const struct export *e = r->request->state;
    size_t count, written = 0;
    struct record *models = records_read(r->fetch, e->models_slot, &count);
    for (size_t i = 0; i < count; i++) {
        size_t before = out->len;
        buf_append_str(out, written > 0 ? ",\n" : "\n");
        if (config_doc_write_model(out, models[i].text))
            written++;
        else
            out->len = before;
        if (out->len == before)
            LOG_ERROR("model_record_invalid", LOG_STR("id", models[i].id));
    }
    free(models);
}

static void write_keys(const struct reading *r, struct buf *out)
{
    const struct export *e = r->request->state;
    size_t count, written = 0;
    int64_t now_s = clock_wall_s();
    struct record *keys = records_read(r->fetch, e->documents_slot, &count);
    for (size_t i = 0; i < count; i++) {
        struct key_doc *k = key_doc_parse(keys[i].text);
        if (k == NULL) {
            LOG_ERROR("key_document_invalid", LOG_STR("id", keys[i].id));
            continue;
        }
        buf_append_str(out, written++ > 0 ? ",\n" : "\n");
        config_doc_write_key(out, k, now_s, e->hashes);
        key_doc_destroy(k);
    }
    free(keys);
}

// Before the hashes leave, and only when they do.
static void audit_export(const struct reading *r)
{
    const struct export *e = r->request->state;
    if (e->hashes && !reading_is_unchanged(r))
        LOG_INFO("audit", LOG_CSTR("action", "config.export"), LOG_CSTR("actor", r->request->actor),
                 LOG_CSTR("request_id", r->request->id));
}

static enum reading_verdict answer_export(struct reading *r)
{
    struct export *e = r->request->state;
    struct buf *out = &r->response.body;
    if (has_moved(r)) {
        if (++e->reads < READS_MAX)
            return READING_AGAIN;
        problem_set(&r->problem, PROBLEM_STORE_UNAVAILABLE,
                    "The store changes faster than it can be read.");
        return READING_REFUSED;
    }
    buf_printf(out, "{\"object\":\"config\",\"revision\":%llu,\"models\":[",
               (unsigned long long)r->head.revision);
    write_models(r, out);
    buf_append_str(out, "],\"keys\":[");
    write_keys(r, out);
    buf_append_str(out, "]}");
    response_set_etag(&r->response, r->head.revision);
    audit_export(r);
    return READING_DONE;
}

void api_config_get(struct request *r)
{
    static const struct reading_plan plan = {.ask = ask_export, .answer = answer_export};
    struct problem problem = {.code = PROBLEM_NONE};
    struct export *e = request_state(r, sizeof(*e), NULL);
    int include = 0;
    bool given = query_get(&r->query, "include").ptr != NULL;
    if (!query_word(&r->query, "include", "key_hashes", &include, &problem)) {
        response_send_problem(r, &problem, SLICE_NONE);
    } else if (given && r->role != ROLE_EDITOR) {
        response_refuse(r, PROBLEM_INSUFFICIENT_ROLE, "include=key_hashes needs the role editor.");
    } else {
        e->hashes = given;
        reading_start(r, &plan);
    }
}

// --- POST /config/diff, POST /config/apply

static void plan_fini(void *state)
{
    config_plan_fini(state);
}

static void ask(struct request *r, struct fetch *f)
{
    config_plan_ask(r->state, f);
}

static enum write_verdict plan(struct write *w)
{
    return config_plan_make(w->request->state, w);
}

static void committed(struct request *r)
{
    config_plan_committed(r->state);
}

static bool take(struct request *r, struct config_plan *p, struct problem *problem)
{
    int mode = 0;
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    if (!query_word(&r->query, "mode", "merge|sync", &mode, problem) ||
        !query_uint(&r->query, "max_deletes", 0, UINT32_MAX, &p->max_deletes, problem) ||
        !query_uint(&r->query, "revision", 0, (UINT64_C(1) << 53) - 1, &p->revision, problem) ||
        !query_bool(&r->query, "allow_missing_target", &p->allow_missing, problem))
        return false;
    p->sync = mode == 1;
    p->limited = query_get(&r->query, "max_deletes").ptr != NULL;
    p->bound = query_get(&r->query, "revision").ptr != NULL;
    if (config_doc_read(r->body, clock_wall_s(), &p->doc, &mistakes)) {
        config_plan_start(p);
        return true;
    }
    problem_set_mistakes(problem, &mistakes);
    return false;
}

void api_config_apply(struct request *r)
{
    static const struct write_plan apply = {
        .action = "config.apply", .ask = ask, .plan = plan, .committed = committed};
    struct problem problem = {.code = PROBLEM_NONE};
    struct config_plan *p = request_state(r, sizeof(*p), plan_fini);
    if (take(r, p, &problem))
        write_start(r, &apply, SLICE_LIT("/config"));
    else
        response_send_problem(r, &problem, SLICE_NONE);
}

// It is what apply would say in a dry run.
void api_config_diff(struct request *r)
{
    r->dry_run = true;
    api_config_apply(r);
}
