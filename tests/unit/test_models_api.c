// SPDX-License-Identifier: Apache-2.0
// SPEC 1 on the wire: a server, the API, a small catalog, and keys that the test
// hands out.
#include "services/models_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/http/server.h"
#include "tests/support/inflate.h"
#include "tests/support/key_world.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/models.h"
#include "tests/support/raw_client.h"

static struct {
    uv_loop_t loop;
    struct server *server;
    int listener;
    bool drained;
    struct replica replica;
    struct key_gate *gate;
    struct models_api api;
    struct raw_client client;
    int refuse; // 0, or the status that the server refuses all with
} t;

static const char aliases[] = "[{\"match\":\"exact\",\"name\":\"fast\",\"target\":\"v/b\"},"
                              "{\"match\":\"prefix\",\"name\":\"claude\",\"target\":\"v/a\"},"
                              "{\"match\":\"exact\",\"name\":\"gone\",\"target\":\"v/off\"}]";

static void on_request(void *ctx, struct call *c)
{
    struct reply r = {.status = t.refuse};
    (void)ctx;
    if (t.refuse == 0) {
        models_api_handle(&t.api, c);
        return;
    }
    models_api_refuse(&t.api, c, &r);
    reply_send(c, &r);
}

static void on_refuse(void *ctx, struct call *c, struct reply *r)
{
    (void)ctx;
    models_api_refuse(&t.api, c, r);
}

static int start(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    world_reset();
    loop_open(&t.loop);
    replica_init(&t.replica, &(struct poison){.shm = NULL});
    catalog_put(t.replica.shown, models_make("v/a", 10, "A", true));
    catalog_put(t.replica.shown, models_make("v/b", 20, "B", true));
    catalog_put(t.replica.shown, models_make("v/off", 5, "Off", false));
    catalog_put(t.replica.shown, models_make("w/x+y", 30, "X", true));
    const struct key_gate_options gate = {
        .source = &world_source, .cache_bytes = 1 << 20, .poll_ms = WORLD_POLL_MS};
    t.gate = key_gate_create(&gate);
    t.api.gate = t.gate;
    t.api.replica = &t.replica;
    cors_init(&t.api.cors, SLICE_LIT("*"));
    const struct server_options options = {.max_connections = 100,
                                           .idle_timeout_ms = 10000,
                                           .head_timeout_ms = 10000,
                                           .write_timeout_ms = 10000,
                                           .max_body = 65536,
                                           .connection_memory = MODELS_API_CONNECTION_MEMORY,
                                           .handler = on_request,
                                           .refuse = on_refuse};
    t.server = server_create(&t.loop, &options);
    t.listener = server_bind("127.0.0.1:0", false, 64);
    assert_int_equal(server_listen(t.server, t.listener, NULL), 0);
    raw_connect(&t.client, &t.loop, t.listener);
    return 0;
}

static void on_drained(void *ctx)
{
    (void)ctx;
    t.drained = true;
}

static int stop(void **state)
{
    (void)state;
    raw_close(&t.client);
    while (world.read_count > 0)
        world_answer_failed();
    server_drain(t.server, on_drained, NULL);
    loop_run_until_set(&t.loop, &t.drained, 5000);
    server_destroy(t.server);
    close(t.listener);
    loop_close(&t.loop);
    key_gate_destroy(t.gate);
    replica_fini(&t.replica);
    return 0;
}

// Without waiting for the answer. headers: whole lines, or "".
static void say(const char *method, const char *path, const char *headers)
{
    char text[2048];
    int len =
        snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, path, headers);
    raw_send(&t.client, slice_make(text, (size_t)len));
}

static struct raw_response ask(const char *method, const char *path, const char *headers)
{
    say(method, path, headers);
    return raw_read(&t.client, strcmp(method, "HEAD") == 0);
}

static bool a_read_waits(void *ctx)
{
    (void)ctx;
    return world.read_count > 0;
}

// Puts the key with the aliases above into the cache.
#define KEY "Authorization: Bearer good\r\n"
static void know_key(void)
{
    char record[640];
    snprintf(record, sizeof(record),
             "{\"rev\":4,\"id\":\"key_01ARYZ6S41TSV4RRFFQ69G5FAV\",\"state\":\"active\","
             "\"aliases\":%s}",
             aliases);
    say("GET", "/v1/models", KEY);
    loop_run_until(&t.loop, a_read_waits, NULL, 5000);
    world_answer(&(struct key_read){.status = KEY_READ_FOUND,
                                    .epoch = WORLD_EPOCH,
                                    .revision = 10,
                                    .change = 1010,
                                    .record = slice_of(record)});
    assert_int_equal(raw_read(&t.client, false).status, 200);
}

#define assert_header(r_, name_, value_) assert_slice(raw_header(&(r_), (name_)), (value_))
#define assert_no_header(r_, name_) assert_null(raw_header(&(r_), (name_)).ptr)

static void assert_common(const struct raw_response *r)
{
    struct slice id = raw_header(r, "x-request-id");
    assert_int_equal(id.len, CALL_REQUEST_ID_LEN);
    assert_true(slice_equal(id, raw_header(r, "request-id")));
    assert_slice(raw_header(r, "access-control-allow-origin"), "*");
    assert_slice(raw_header(r, "access-control-expose-headers"), "x-request-id, request-id, ETag");
    assert_null(raw_header(r, "server").ptr);
}

static void assert_openai(const struct raw_response *r, int status, const char *type,
                          const char *code, const char *message)
{
    char body[512];
    snprintf(body, sizeof(body),
             "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}",
             message, type, code);
    assert_int_equal(r->status, status);
    assert_slice(r->body, body);
    assert_slice(raw_header(r, "content-type"), "application/json");
    assert_slice(raw_header(r, "cache-control"), "no-store");
    assert_null(raw_header(r, "etag").ptr);
    assert_common(r);
}

static void assert_anthropic(const struct raw_response *r, int status, const char *type,
                             const char *message)
{
    char body[512];
    snprintf(body, sizeof(body),
             "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"},"
             "\"request_id\":\"%.*s\"}",
             type, message, SLICE_FMT(raw_header(r, "request-id")));
    assert_int_equal(r->status, status);
    assert_slice(r->body, body);
    assert_common(r);
}

// -- cases ------------------------------------------------------------------

static void other_paths_and_methods_need_no_key(void **state)
{
    (void)state;
    struct raw_response r = ask("GET", "/v1/chat?x=1", "");
    assert_int_equal(r.status, 404);
    assert_non_null(memmem(r.body.ptr, r.body.len, "unknown_url", 11));
    assert_non_null(memmem(r.body.ptr, r.body.len, "GET /v1/chat", 12));
    assert_common(&r);
    r = ask("DELETE", "/v1/models/v/a", "");
    assert_int_equal(r.status, 405);
    assert_header(r, "allow", "GET, HEAD, OPTIONS");
    assert_non_null(memmem(r.body.ptr, r.body.len, "method_not_allowed", 18));
    r = ask("DELETE", "/v1/nowhere", "");
    assert_int_equal(r.status, 404);
    r = ask("POST", "/v1/models", "x-api-key: k\r\nContent-Length: 0\r\n");
    assert_int_equal(r.status, 405);
    assert_non_null(memmem(r.body.ptr, r.body.len, "\"request_id\"", 12));
    assert_int_equal(world.sent, 0);
}

static void who_is_asking(void **state)
{
    (void)state;
    struct raw_response r = ask("GET", "/v1/models", "");
    assert_openai(&r, 401, "authentication_error", "missing_api_key",
                  "Missing Bearer token in Authorization header.");
    assert_int_equal(world.sent, 0);
    say("GET", "/v1/models", "Authorization: Bearer nobody\r\n");
    loop_run_until(&t.loop, a_read_waits, NULL, 5000);
    struct secret_digest asked = world.reads[0].digest, nobody;
    secret_hash(SLICE_LIT("nobody"), &nobody);
    assert_true(secret_digest_equal(&asked, &nobody));
    world_answer_absent(10);
    r = raw_read(&t.client, false);
    assert_openai(&r, 401, "authentication_error", "invalid_api_key", "Invalid API key.");
    r = ask("GET", "/v1/models", "X-Api-Key: nobody\r\nAuthorization: Bearer good\r\n");
    assert_anthropic(&r, 401, "authentication_error", "Invalid API key.");
    r = ask("GET", "/v1/models", "X-Api-Key: \r\nAuthorization: Bearer nobody\r\n");
    assert_openai(&r, 401, "authentication_error", "invalid_api_key", "Invalid API key.");
    assert_int_equal(world.sent, 1); // the others by what was remembered
}

static void a_wrong_checksum_asks_nobody(void **state)
{
    (void)state;
    t.api.check_sum = true;
    struct raw_response r = ask("GET", "/v1/models", "X-Api-Key: nobody\r\n");
    assert_anthropic(&r, 401, "authentication_error", "Invalid API key.");
    assert_int_equal(world.sent, 0);
}

static void not_knowing_is_a_500(void **state)
{
    (void)state;
    world.now.up = false;
    world.now.state = FEED_AWAY;
    struct raw_response r = ask("GET", "/v1/models", KEY);
    assert_openai(&r, 500, "api_error", "internal_error", "Internal error.");
    assert_header(r, "retry-after", "1");
    r = ask("GET", "/v1/models", "x-api-key: k\r\n");
    assert_anthropic(&r, 500, "api_error", "Internal error.");
    world.now.up = true;
    world.now.state = FEED_LIVE;
    say("GET", "/v1/models", KEY);
    loop_run_until(&t.loop, a_read_waits, NULL, 5000);
    world_answer_failed();
    r = raw_read(&t.client, false);
    assert_openai(&r, 500, "api_error", "internal_error", "Internal error.");
}

static void the_list(void **state)
{
    (void)state;
    know_key();
    struct raw_response r = ask("GET", "/v1/models?limit=1&after_id=x", KEY);
    assert_int_equal(r.status, 200);
    assert_common(&r);
    assert_header(r, "content-type", "application/json");
    assert_header(r, "cache-control", "private, no-cache");
    assert_header(r, "vary", "Authorization, X-Api-Key, Accept-Encoding");
    assert_no_header(r, "content-encoding");
    assert_true(slice_starts_with(r.body, SLICE_LIT("{\"object\":\"list\",\"data\":["
                                                    "{\"id\":\"fast\",")));
    const char end[] = "],\"has_more\":false,\"first_id\":\"fast\",\"last_id\":\"w/x+y\"}";
    assert_slice(slice_skip(r.body, r.body.len - strlen(end)), end);
    assert_null(memmem(r.body.ptr, r.body.len, "v/off", 5));
    assert_int_equal(world.sent, 1);
}

static void names(void **state)
{
    (void)state;
    know_key();
    static const char *const found[][2] = {
        {"/v1/models/v/a", "{\"id\":\"v/a\","},
        {"/v1/models/v%2Fa", "{\"id\":\"v/a\","},
        {"/v1/models/v%2fa?beta=true", "{\"id\":\"v/a\","},
        {"/v1/models/w/x+y", "{\"id\":\"w/x+y\","},
        {"/v1/models/%77%2Fx%2By", "{\"id\":\"w/x+y\","},
        {"/v1/models/fast", "{\"id\":\"fast\","},
        {"/v1/models/claude-9", "{\"id\":\"claude-9\","},
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(found); i++) {
        struct raw_response r = ask("GET", found[i][0], KEY);
        assert_int_equal(r.status, 200);
        assert_true(slice_starts_with(r.body, slice_of(found[i][1])));
        assert_common(&r);
    }
    static const char *const missing[][2] = {
        {"/v1/models/", ""},
        {"/v1/models/v/off", "v/off"},
        {"/v1/models/gone", "gone"},
        {"/v1/models/v%252Fa", "v%2Fa"},
        {"/v1/models//v/a", "/v/a"},
        {"/v1/models/v/a/", "v/a/"},
        {"/v1/models/v/../v/a", "v/../v/a"},
        {"/v1/models/w/x%20y", "w/x y"},
        {"/v1/models/%zz", "%zz"},
        {"/v1/models/v/a%", "v/a%"},
        {"/v1/models/v/a%00", "v/a\\u0000"},
        {"/v1/models/v/a%FF", "v/a\xEF\xBF\xBD"},
        {"/v1/models/%22", "\\\""},
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(missing); i++) {
        char message[128];
        snprintf(message, sizeof(message), "Model '%s' was not found or is unavailable.",
                 missing[i][1]);
        struct raw_response r = ask("GET", missing[i][0], KEY);
        assert_openai(&r, 404, "invalid_request_error", "model_not_found", message);
    }
    struct raw_response r = ask("GET", "/v1/models/foo%2Fbar", "x-api-key: good\r\n");
    assert_anthropic(&r, 404, "not_found_error",
                     "Model 'foo/bar' was not found or is unavailable.");
    assert_int_equal(world.sent, 1);
}

static void a_name_needs_a_key_first(void **state)
{
    (void)state;
    struct raw_response r = ask("GET", "/v1/models/%zz", "");
    assert_int_equal(r.status, 401);
    r = ask("GET", "/v1/models/v/a", "If-None-Match: *\r\n");
    assert_int_equal(r.status, 401);
}

static void head(void **state)
{
    (void)state;
    know_key();
    static const char *const paths[] = {"/v1/models", "/v1/models/v/a", "/v1/models/none", "/no"};
    for (size_t i = 0; i < CM_ARRAY_LEN(paths); i++) {
        char length[16], tag[64];
        struct raw_response r = ask("GET", paths[i], KEY);
        int status = r.status;
        // A 404's text names the path and the method, and so its length differs.
        snprintf(length, sizeof(length), "%.*s", SLICE_FMT(raw_header(&r, "content-length")));
        snprintf(tag, sizeof(tag), "%.*s", SLICE_FMT(raw_header(&r, "etag")));
        r = ask("HEAD", paths[i], KEY);
        assert_int_equal(r.status, status);
        if (i < 3)
            assert_header(r, "content-length", length);
        assert_header(r, "etag", tag);
        assert_header(r, "content-type", "application/json");
        assert_int_equal(r.body.len, 0);
    }
    struct raw_response r = ask("GET", "/v1/models/v/a", KEY); // the connection goes on
    assert_int_equal(r.status, 200);
}

// The connection remembers whose digest it looked up last, and nothing about it.
static void a_remembered_secret_is_judged_each_time(void **state)
{
    (void)state;
    struct secret_digest good, other;
    secret_hash(SLICE_LIT("good"), &good);
    secret_hash(SLICE_LIT("other"), &other);
    know_key();
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask("GET", "/v1/models/fast", KEY).status, 200);
    key_gate_key_changed(t.gate, &other, true, 20);
    assert_int_equal(ask("GET", "/v1/models/fast", "x-api-key: other\r\n").status, 401);
    assert_int_equal(ask("GET", "/v1/models/fast", "x-api-key: good\r\n").status, 200);
    key_gate_key_changed(t.gate, &good, true, 21);
    assert_int_equal(ask("GET", "/v1/models/fast", KEY).status, 401);
    assert_int_equal(ask("GET", "/v1/models/fast", KEY).status, 401);
}

static void unchanged(void **state)
{
    (void)state;
    know_key();
    struct raw_response r = ask("GET", "/v1/models", KEY);
    char headers[256], tag[64];
    snprintf(tag, sizeof(tag), "%.*s", SLICE_FMT(raw_header(&r, "etag")));
    assert_true(tag[0] == '"');
    snprintf(headers, sizeof(headers), KEY "If-None-Match: \"x\", W/%s\r\n", tag);
    say("GET", "/v1/models", headers);
    r = raw_read(&t.client, true);
    assert_int_equal(r.status, 304);
    assert_header(r, "etag", tag);
    assert_header(r, "cache-control", "private, no-cache");
    assert_header(r, "vary", "Authorization, X-Api-Key, Accept-Encoding");
    assert_no_header(r, "content-type");
    assert_no_header(r, "content-encoding");
    assert_no_header(r, "content-length");
    assert_common(&r);
    r = ask("GET", "/v1/models/v/a", headers);
    assert_int_equal(r.status, 200); // another thing has another tag
    r = ask("GET", "/v1/models", KEY "If-None-Match: \"x\"\r\n");
    assert_int_equal(r.status, 200);
}

static void gzip(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 50; n++)
        catalog_put(t.replica.shown, models_make_numbered(n));
    know_key();
    struct raw_response r = ask("GET", "/v1/models", KEY);
    char *plain = slice_dup(r.body), *tag = slice_dup(raw_header(&r, "etag"));
    r = ask("GET", "/v1/models", KEY "Accept-Encoding: br, gzip\r\n");
    assert_header(r, "content-encoding", "gzip");
    assert_false(slice_equal(raw_header(&r, "etag"), slice_of(tag)));
    struct buf text = {0};
    inflate_member(r.body, &text);
    assert_slice(buf_slice(&text), plain);
    buf_fini(&text);
    r = ask("GET", "/v1/models", KEY "Accept-Encoding: gzip;q=0\r\n");
    assert_no_header(r, "content-encoding");
    free(plain);
    free(tag);
}

static void preflight(void **state)
{
    (void)state;
    say("OPTIONS", "/v1/models/v/a",
        "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n"
        "Access-Control-Request-Headers: authorization,x-stainless-os\r\n");
    struct raw_response r = raw_read(&t.client, true);
    assert_int_equal(r.status, 204);
    assert_common(&r);
    assert_header(r, "access-control-allow-headers", "authorization,x-stainless-os");
    assert_header(r, "access-control-allow-methods", "GET, HEAD, OPTIONS");
    assert_header(r, "access-control-max-age", "86400");
    assert_no_header(r, "content-type");
    r = ask("OPTIONS", "/v1/nowhere", "");
    assert_int_equal(r.status, 404);
}

static void a_list_of_origins(void **state)
{
    (void)state;
    know_key();
    cors_init(&t.api.cors, SLICE_LIT("https://a.example,https://b.example"));
    struct raw_response r = ask("GET", "/v1/models", KEY "Origin: https://b.example\r\n");
    assert_header(r, "access-control-allow-origin", "https://b.example");
    assert_header(r, "vary", "Authorization, X-Api-Key, Accept-Encoding, Origin");
    r = ask("GET", "/v1/models", KEY "Origin: https://c.example\r\n");
    assert_int_equal(r.status, 200);
    assert_no_header(r, "access-control-allow-origin");
    assert_header(r, "vary", "Authorization, X-Api-Key, Accept-Encoding, Origin");
    r = ask("GET", "/v1/models", "Origin: https://a.example\r\n");
    assert_int_equal(r.status, 401);
    assert_header(r, "access-control-allow-origin", "https://a.example");
    assert_header(r, "vary", "Origin");
}

static void refusals_of_the_server_speak_the_dialect_too(void **state)
{
    (void)state;
    struct raw_response r = ask("GET", "/v1/models", "x-api-key: k\r\nContent-Length: 999999\r\n");
    assert_int_equal(r.status, 413);
    assert_non_null(memmem(r.body.ptr, r.body.len, "\"request_id\"", 12));
    assert_common(&r);
}

static void a_refusal_that_is_the_servers_fault_does_not_blame_the_request(void **state)
{
    (void)state;
    t.refuse = 503;
    struct raw_response r = ask("GET", "/v1/models", KEY);
    assert_int_equal(r.status, 503);
    assert_non_null(memmem(r.body.ptr, r.body.len, "\"internal_error\"", 16));
    t.refuse = 400;
    r = ask("GET", "/v1/models", KEY);
    assert_non_null(memmem(r.body.ptr, r.body.len, "\"bad_request\"", 13));
}

static void a_client_that_leaves_while_it_waits(void **state)
{
    (void)state;
    say("GET", "/v1/models", KEY);
    loop_run_until(&t.loop, a_read_waits, NULL, 5000);
    raw_close(&t.client);
    loop_run_for(&t.loop, 20);
    world_answer_found(10, "active", 4);
    raw_connect(&t.client, &t.loop, t.listener);
    assert_int_equal(ask("GET", "/v1/models", KEY).status, 200);
    assert_int_equal(world.sent, 1);
}

enum { CLIENTS = 20 };

static bool all_are_served(void *ctx)
{
    (void)ctx;
    return server_counters(t.server)->in_flight == CLIENTS;
}

static void many_wait_for_one_read(void **state)
{
    (void)state;
    static struct raw_client clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        raw_connect(&clients[i], &t.loop, t.listener);
        raw_send_str(&clients[i], "GET /v1/models/v/a HTTP/1.1\r\nHost: x\r\n" KEY "\r\n");
    }
    loop_run_until(&t.loop, all_are_served, NULL, 5000);
    assert_int_equal(world.sent, 1);
    world_answer_found(10, "active", 4);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(raw_read(&clients[i], false).status, 200);
        raw_close(&clients[i]);
    }
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(other_paths_and_methods_need_no_key),
        CASE(who_is_asking),
        CASE(a_wrong_checksum_asks_nobody),
        CASE(not_knowing_is_a_500),
        CASE(the_list),
        CASE(names),
        CASE(a_name_needs_a_key_first),
        CASE(head),
        CASE(a_remembered_secret_is_judged_each_time),
        CASE(unchanged),
        CASE(gzip),
        CASE(preflight),
        CASE(a_list_of_origins),
        CASE(refusals_of_the_server_speak_the_dialect_too),
        CASE(a_refusal_that_is_the_servers_fault_does_not_blame_the_request),
        CASE(a_client_that_leaves_while_it_waits),
        CASE(many_wait_for_one_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
