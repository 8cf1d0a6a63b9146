// SPDX-License-Identifier: Apache-2.0
// The workers: who they are, how far they are, and which of them have a revision.
#include "admin/api.h"
#include "admin/api_routes.h"
#include "admin/reading.h"
#include "admin/response.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/model/doc.h"

// How long it has not been known to be current: 0 at the head.
static json_t *lag_of(const struct roster_worker *w, const struct head *head, int64_t wall_ms,
                      bool silent)
{
    if (!silent && head->epoch != 0 && roster_has_applied(w, head->epoch, head->revision))
        return json_integer(0);
    if (w->ack.confirmed_ms == 0)
        return json_null();
    return json_integer(wall_ms > w->ack.confirmed_ms ? wall_ms - w->ack.confirmed_ms : 0);
}

// What it serves, and whether it could do so after a restart: as in its /readyz.
static void show_copies(json_t *shown, const struct ack *ack)
{
    json_object_set_new(shown, "from_disk", json_boolean(ack->from_disk));
    json_object_set_new(shown, "saved_at", doc_time(ack->saved_ms / 1000));
    json_object_set_new(shown, "save_errors", json_integer((json_int_t)ack->save_errors));
    json_object_set_new(shown, "invalid", json_integer((json_int_t)ack->rejected));
    json_object_set_new(shown, "poisoned", json_integer((json_int_t)ack->poisoned));
}

// hears: somebody listens. What a worker said before that ended tells nothing about now.
static json_t *show(const struct roster_worker *w, const struct head *head, bool hears,
                    uint64_t now_ms, int64_t wall_ms)
{
    bool silent = !hears || roster_is_silent(w, now_ms);
    int64_t heard_wall_ms = wall_ms - (int64_t)(now_ms - w->heard_ms);
    json_t *shown = json_object();
    json_object_set_new(shown, "id", json_string(w->ack.id));
    json_object_set_new(shown, "host", json_string(w->ack.host));
    json_object_set_new(shown, "slot", json_integer((json_int_t)w->ack.slot));
    json_object_set_new(shown, "state", json_string(silent ? "silent" : w->ack.state));
    json_object_set_new(shown, "reason",
                        w->ack.reason[0] == '\0' ? json_null() : json_string(w->ack.reason));
    json_object_set_new(shown, "revision", json_integer((json_int_t)w->ack.revision));
    json_object_set_new(shown, "lag_ms", lag_of(w, head, wall_ms, silent));
    json_object_set_new(shown, "last_seen_at", doc_time(heard_wall_ms / 1000));
    show_copies(shown, &w->ack);
    return shown;
}

// The newest that there is, or, while Redis is away, that is known.
static const struct head *head_of(const struct reading *r)
{
    return r->away ? &r->request->api->guard->known : &r->head;
}

static json_t *revision_or_null(const struct head *head, bool away)
{
    return away && head->epoch == 0 ? json_null() : json_integer((json_int_t)head->revision);
}

static void add_store(struct reading *r, const struct record_counts *records)
{
    struct buf store = {.len = 0};
    guard_write_state(r->request->api->guard, r->away, records, &store);
    response_add_member(&r->response, "store", buf_slice(&store));
    buf_fini(&store);
}

static void ask_fleet(struct reading *r)
{
    struct record_counts_slots *slots = r->request->state;
    *slots = record_counts_ask(r->fetch);
}

static json_t *id_or_null(const struct roster *roster, size_t i)
{
    return i < roster_count(roster) ? json_string(roster_at(roster, i)->ack.id) : json_null();
}

static enum reading_verdict answer_fleet(struct reading *r)
{
    const struct roster *roster = r->request->api->roster;
    const struct head *head = head_of(r);
    bool hears = propagation_hears(r->request->api->propagation);
    size_t count = roster_count(roster);
    uint64_t now_ms = clock_boot_ms();
    int64_t wall_ms = clock_wall_ms();
    json_t *list = json_object(), *data = json_array();
    struct record_counts_slots *slots = r->request->state;
    struct record_counts records = record_counts_read(r->fetch, *slots);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(data, show(roster_at(roster, i), head, hears, now_ms, wall_ms));
    json_object_set_new(list, "object", json_string("list"));
    json_object_set_new(list, "data", data);
    json_object_set_new(list, "has_more", json_false());
    json_object_set_new(list, "first_id", id_or_null(roster, 0));
    json_object_set_new(list, "last_id", count == 0 ? json_null() : id_or_null(roster, count - 1));
    json_object_set_new(list, "head_revision", revision_or_null(head, r->away));
    doc_write(&r->response.body, list);
    json_decref(list);
    add_store(r, &records);
    return READING_DONE;
}

void api_fleet_list(struct request *r)
{
    static const struct reading_plan plan = {
        .ask = ask_fleet, .answer = answer_fleet, .unguarded = true};
    (void)request_state(r, sizeof(struct record_counts_slots), NULL);
    reading_start(r, &plan);
}

static bool is_known(const struct roster *roster, struct slice id)
{
    for (size_t i = 0; i < roster_count(roster); i++)
        if (slice_equal(slice_of(roster_at(roster, i)->ack.id), id))
            return true;
    return false;
}

// It is no change of the data: it makes no revision, and there is nothing to wait
// for. The log line is its audit entry.
void api_fleet_forget(struct request *r)
{
    struct response out = {.status = 204};
    struct slice id = r->args[0];
    if (!is_known(r->api->roster, id)) {
        response_refuse(r, PROBLEM_NOT_FOUND, "There is no such worker.");
        return;
    }
    if (!r->dry_run) {
        bool known = roster_forget(r->api->roster, id);
        CM_ASSERT(known);
        LOG_INFO("audit", LOG_CSTR("action", "fleet.forget"), LOG_STR("resource", id),
                 LOG_CSTR("actor", r->actor), LOG_CSTR("request_id", r->id));
    }
    if (r->dry_run || r->wait_s > 0) {
        out.status = 200;
        buf_append_str(&out.body, "{\"id\":");
        doc_write_string(&out.body, id);
        buf_append_str(&out.body, ",\"deleted\":true}");
    }
    if (r->dry_run)
        response_add_member(&out, "diff", SLICE_LIT("[]"));
    response_send(r, &out);
}

static void ask_head(struct reading *r)
{
    (void)r; // every read begins with the head
}

// Away: who is known has said so, but nobody can say that these are all; and a revision
// beyond the known ones may be there or not.
static enum reading_verdict answer_revision(struct reading *r)
{
    const struct roster *roster = r->request->api->roster;
    const struct head *head = head_of(r);
    uint64_t *n = r->request->state;
    size_t applied = 0, count = roster_count(roster);
    if (r->away && (head->epoch == 0 || *n > head->revision)) {
        problem_set(&r->problem, PROBLEM_STORE_UNAVAILABLE,
                    "Redis does not answer; no such revision was known before.");
        return READING_REFUSED;
    }
    if (*n > head->revision) {
        problem_set(&r->problem, PROBLEM_NOT_FOUND, "The head is at revision %llu.",
                    (unsigned long long)head->revision);
        return READING_REFUSED;
    }
    bool hears = propagation_hears(r->request->api->propagation);
    json_t *answer = json_object(), *lagging = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct roster_worker *w = roster_at(roster, i);
        if (roster_has_applied(w, head->epoch, *n))
            applied++;
        else
            json_array_append_new(lagging, json_string(w->ack.id));
    }
    json_object_set_new(answer, "revision", json_integer((json_int_t)*n));
    json_object_set_new(answer, "workers", json_integer((json_int_t)count));
    json_object_set_new(answer, "applied", json_integer((json_int_t)applied));
    json_object_set_new(answer, "complete",
                        json_boolean(!r->away && hears && count > 0 && applied == count));
    json_object_set_new(answer, "lagging", lagging);
    json_object_set_new(answer, "head_revision", json_integer((json_int_t)head->revision));
    doc_write(&r->response.body, answer);
    json_decref(answer);
    add_store(r, NULL);
    return READING_DONE;
}

void api_revision_get(struct request *r)
{
    static const struct reading_plan plan = {
        .ask = ask_head, .answer = answer_revision, .mirrored = true};
    uint64_t n = 0;
    if (!slice_parse_u64(r->args[0], (UINT64_C(1) << 53) - 1, &n)) {
        response_refuse(r, PROBLEM_NOT_FOUND, "A revision is a number.");
        return;
    }
    uint64_t *state = request_state(r, sizeof(*state), NULL);
    *state = n;
    reading_start(r, &plan);
}

void api_version_get(struct request *r)
{
    struct response out = {.status = 200};
    buf_append_str(&out.body, "{\"name\":\"cm-admin\",\"version\":\"" CM_VERSION "\"}");
    response_send(r, &out);
}
