// SPDX-License-Identifier: Apache-2.0
// The stored outcome is found by the client's key alone, so that the same key
// with another token, route or body is seen, and refused, instead of taken for a
// new request.
#include "admin/idempotency.h"

#include <stdio.h>
#include <string.h>

#include "admin/api.h"
#include "common/base/log.h"
#include "common/model/doc.h"
#include "common/model/head.h"
#include "common/store/commit.h"

static void hash_hex(struct slice text, char out[SECRET_HEX_LEN + 1])
{
    struct secret_digest digest;
    secret_hash(text, &digest);
    secret_digest_hex(&digest, out);
}

void idempotency_init(struct idempotency *i, const struct request *r)
{
    struct buf text = {.len = 0};
    char body[SECRET_HEX_LEN + 1];
    *i = (struct idempotency){.present = r->idempotency_key != NULL && !r->dry_run};
    if (!i->present)
        return;
    hash_hex(slice_of(r->idempotency_key), i->name);
    secret_digest_hex(&r->body_digest, body);
    buf_printf(&text, "%s\n%s\n%s\n%s", r->actor, r->route->method, r->target, body);
    hash_hex(buf_slice(&text), i->fingerprint);
    buf_fini(&text);
}

void idempotency_write(struct buf *out, const struct idempotency *i,
                       const struct response *response, struct slice body, uint64_t epoch,
                       uint64_t revision)
{
    char id[HEAD_ID_HEX_LEN + 1];
    head_id_hex(epoch, id);
    buf_printf(out, "{\"fingerprint\":\"%s\",\"epoch\":\"%s\",\"revision\":%llu,\"status\":%d",
               i->fingerprint, id, (unsigned long long)revision, response->status);
    buf_append_str(out, ",\"etag\":");
    doc_write_string(out, slice_of(response->etag));
    buf_append_str(out, ",\"location\":");
    doc_write_string(out, buf_slice(&response->location));
    buf_append_str(out, ",\"body\":");
    buf_append_slice(out, body);
    buf_append_char(out, '}');
}

void idempotency_store(const struct api *api, const struct idempotency *i, struct slice outcome)
{
    char key[KEYSPACE_NAME_MAX];
    char seconds[16];
    size_t len = keyspace_idem(api->keyspace, slice_of(i->name), key);
    snprintf(seconds, sizeof(seconds), "%d", COMMIT_IDEM_S);
    const struct slice argv[] = {SLICE_LIT("SET"), slice_make(key, len), outcome,
                                 SLICE_LIT("EX"),  slice_of(seconds),    SLICE_LIT("NX")};
    if (!redis_command(api->redis, CM_ARRAY_LEN(argv), argv, NULL, NULL))
        LOG_WARN("idempotency_not_stored", LOG_CSTR("why", "redis is away"));
}

static bool fill(const json_t *doc, struct response *response, uint64_t *epoch, uint64_t *revision)
{
    struct slice etag = doc_string(json_object_get(doc, "etag"));
    const json_t *body = json_object_get(doc, "body");
    if (!json_is_object(body) || etag.len >= sizeof(response->etag) ||
        !head_id_parse(doc_string(json_object_get(doc, "epoch")), epoch))
        return false;
    *revision = (uint64_t)json_integer_value(json_object_get(doc, "revision"));
    response->status = (int)json_integer_value(json_object_get(doc, "status"));
    if (etag.len > 0)
        memcpy(response->etag, etag.ptr, etag.len);
    response->etag[etag.len] = '\0';
    buf_append_slice(&response->location, doc_string(json_object_get(doc, "location")));
    doc_write(&response->body, body);
    return true;
}

bool idempotency_replay(const struct idempotency *i, struct slice stored, struct response *response,
                        uint64_t *epoch, uint64_t *revision, struct problem *problem)
{
    struct doc_error error;
    json_t *doc = doc_parse(stored, &error);
    struct slice fingerprint = doc_string(json_object_get(doc, "fingerprint"));
    bool ours = slice_equal(fingerprint, slice_of(i->fingerprint));
    bool ok = false;
    if (!ours)
        problem_set(problem, PROBLEM_IDEMPOTENCY_KEY_REUSED,
                    "This Idempotency-Key was used for another token, route or body.");
    else if (!fill(doc, response, epoch, revision))
        problem_set(problem, PROBLEM_INTERNAL, "The stored outcome is not readable.");
    else
        ok = true;
    json_decref(doc);
    return ok;
}
