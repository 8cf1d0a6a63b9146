// SPDX-License-Identifier: Apache-2.0
// The wiring, and the life of the process:
//
//   binding: both listeners, before anything else, so that a second instance
//   fails with a clear line.
//   serving: requests are answered from the first moment; those that need Redis
//   get a 503 until it is there. /readyz says when that is.
//   draining (SIGTERM, SIGINT): not ready at once, nothing is accepted, what is
//   in flight ends; waits for workers are cut short in time.
//   closing: connections to Redis and handles; then the loop is empty.
#include "admin/service.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "admin/api.h"
#include "admin/ops.h"
#include "admin/store_watch.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/http/server.h"
#include "common/model/ack.h"
#include "common/model/bell.h"
#include "common/store/mastership.h"
#include "common/store/redis_url.h"
#include "common/store/sentinel.h"

enum {
    TICK_MS = 50,
    CONNECTIONS_MAX = 1000,
    IDLE_TIMEOUT_MS = 75000,
    HEAD_TIMEOUT_MS = 10000,
    WRITE_TIMEOUT_MS = 20000,
    CONNECT_TIMEOUT_MS = 300,
    REPLY_TIMEOUT_MS = 3000,
    IN_FLIGHT_MAX = 65536,
    OPS_BODY_MAX = 4096,
    DRAIN_MARGIN_MS = 1000 // between the end of waits and the end of the process
};
static const uint64_t log_keep_bytes = UINT64_C(256) << 20;
static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

struct service {
    struct admin_settings *settings;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t signals[CM_ARRAY_LEN(signals)];
    struct redis_url url;
    struct keyspace keyspace;
    const char *channels[3];
    struct sentinel *sentinel; // NULL without Sentinels
    struct redis *data, *subscription;
    unsigned connections; // of these, not closed yet
    struct guard guard;
    struct journal *journal;           // NULL = no state directory
    struct journal_sync *journal_sync; // NULL = no journal
    struct roster *roster;
    struct propagation *propagation;
    struct txn_queue *txns;
    struct durability *durability;
    struct store_watch *watch;
    struct auth *auth;
    struct api api;
    struct admin_ops ops;
    struct server *api_server, *ops_server;
    int api_fd, ops_fd;
    uint64_t drain_deadline_ms; // 0 = not draining
    bool api_drained, closing;
    bool cut;
    int exit_status;
};

// --- Redis

static void on_data_link(void *ctx, bool up)
{
    struct service *s = ctx;
    store_watch_on_data(s->watch, up);
}

static void on_subscription_link(void *ctx, bool up)
{
    struct service *s = ctx;
    uint64_t now_ms = clock_boot_ms();
    store_watch_on_subscription(s->watch, up, now_ms);
    propagation_on_link(s->propagation, up, now_ms);
}

static bool write_mirror(void *ctx, struct slice id, struct slice text)
{
    struct service *s = ctx;
    const struct slice set[] = {SLICE_LIT("HSET"), slice_of(s->keyspace.fleet), id, text};
    const struct slice del[] = {SLICE_LIT("HDEL"), slice_of(s->keyspace.fleet), id};
    return text.ptr != NULL ? redis_command(s->data, CM_ARRAY_LEN(set), set, NULL, NULL)
                            : redis_command(s->data, CM_ARRAY_LEN(del), del, NULL, NULL);
}

static void flush_mirror(struct service *s, uint64_t now_ms)
{
    // Never into a store that is not ours.
    if (s->guard.known.epoch != 0 && s->guard.looked && s->guard.reason == GUARD_FINE &&
        redis_is_up(s->data))
        roster_flush(s->roster, now_ms, write_mirror, s);
}

static void on_message(void *ctx, struct slice channel, struct slice payload)
{
    struct service *s = ctx;
    struct ack ack;
    struct bell bell;
    if (slice_equal(channel, slice_of(s->keyspace.ack)) && ack_parse(payload, &ack)) {
        roster_on_ack(s->roster, &ack, clock_boot_ms());
        propagation_on_roster(s->propagation, clock_boot_ms());
        // Whoever stops a whole stack stops us right after the workers: who has
        // left must not come back from the mirror at the next start.
        if (ack.kind == ACK_BYE)
            flush_mirror(s, clock_boot_ms());
    } else if (slice_equal(channel, slice_of(s->keyspace.bell)) && bell_parse(payload, &bell)) {
        propagation_on_bell(s->propagation, bell.epoch, bell.revision, clock_boot_ms());
    }
}

static void open_redis(struct service *s)
{
    struct redis_options options = {.url = &s->url,
                                    .name = "cm-admin-data",
                                    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                    .reply_timeout_ms = REPLY_TIMEOUT_MS,
                                    .max_in_flight = IN_FLIGHT_MAX,
                                    .on_link = on_data_link,
                                    .ctx = s};
    s->data = redis_open(&s->loop, &options);
    s->channels[0] = s->keyspace.bell;
    s->channels[1] = s->keyspace.ack;
    options.name = "cm-admin-subscription";
    options.channels = s->channels;
    options.on_message = on_message;
    options.on_link = on_subscription_link;
    s->subscription = redis_open(&s->loop, &options);
    s->connections = 2;
    if (s->url.sentinel_count == 0)
        return;
    s->sentinel = sentinel_open(&s->loop, &s->url, "cm-admin-sentinel");
    s->connections++;
    sentinel_follow(s->sentinel, s->data);
    sentinel_follow(s->sentinel, s->subscription);
}

// --- the end

// libh2o keeps handles of its own until its server is destroyed, which must not
// happen inside the loop: so it does not run empty, it is stopped.
static void on_redis_closed(void *ctx)
{
    struct service *s = ctx;
    if (--s->connections == 0)
        uv_stop(&s->loop);
}

static void on_ops_drained(void *ctx)
{
    struct service *s = ctx;
    uv_close((uv_handle_t *)&s->tick, NULL);
    for (size_t i = 0; i < CM_ARRAY_LEN(signals); i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    store_watch_stop(s->watch);
    if (s->sentinel != NULL)
        sentinel_close(s->sentinel, on_redis_closed, s);
    redis_close(s->data, on_redis_closed, s);
    redis_close(s->subscription, on_redis_closed, s);
}

static void on_api_drained(void *ctx)
{
    struct service *s = ctx;
    s->api_drained = true;
}

static void start_drain(struct service *s, int status)
{
    if (s->drain_deadline_ms != 0)
        return;
    LOG_INFO("draining", LOG_U64("in_flight", server_counters(s->api_server)->in_flight));
    s->exit_status = status;
    s->ops.draining = true;
    s->drain_deadline_ms = clock_boot_ms() + s->settings->drain_timeout_s * 1000;
    server_drain(s->api_server, on_api_drained, s);
}

static void advance_drain(struct service *s, uint64_t now_ms)
{
    if (s->drain_deadline_ms == 0 || s->closing)
        return;
    // Nobody is left to be told, or it is time.
    if (s->api_drained || now_ms + DRAIN_MARGIN_MS >= s->drain_deadline_ms)
        propagation_end_all(s->propagation, now_ms);
    if (!s->cut && now_ms >= s->drain_deadline_ms) {
        s->cut = true;
        server_cut(s->api_server);
    }
    if (s->api_drained && txn_queue_idle(s->txns) && s->api.durability_waits == 0 &&
        propagation_waiting(s->propagation) == 0) {
        s->closing = true;
        server_drain(s->ops_server, on_ops_drained, s);
        server_cut(s->ops_server);
    }
}

static void on_unfit(void *ctx)
{
    struct service *s = ctx;
    start_drain(s, 1);
}

// --- events of the loop

static void on_tick(uv_timer_t *timer)
{
    struct service *s = CM_CONTAINER_OF(timer, struct service, tick);
    uint64_t now_ms = clock_boot_ms();
    store_watch_tick(s->watch, now_ms);
    if (s->journal != NULL)
        journal_heal(s->journal, now_ms);
    txn_queue_tick(s->txns, now_ms);
    roster_expire(s->roster, now_ms);
    propagation_on_tick(s->propagation, now_ms);
    flush_mirror(s, now_ms);
    advance_drain(s, now_ms);
}

static void reload_log_level(struct service *s)
{
    struct buf errors = {.len = 0};
    if (admin_settings_reload_log_level(s->settings, environ, &errors))
        log_change_level((enum log_level)s->settings->log_level);
    else
        LOG_ERROR("log_level_kept", LOG_STR("error", slice_trim(buf_slice(&errors))),
                  LOG_CSTR("level", log_level_name(log_level())));
    buf_fini(&errors);
}

static void reload_tokens(struct service *s)
{
    struct buf errors = {.len = 0};
    if (auth_reload(s->auth, &errors))
        LOG_INFO("tokens_reloaded", LOG_U64("tokens", auth_tokens(s->auth)));
    else
        LOG_ERROR("tokens_not_reloaded", LOG_STR("why", slice_trim(buf_slice(&errors))));
    buf_fini(&errors);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *s = handle->data;
    if (number == SIGHUP) {
        reload_log_level(s);
        reload_tokens(s);
        return;
    }
    if (s->drain_deadline_ms != 0)
        _exit(1); // asked twice
    start_drain(s, 0);
}

// --- starting

static bool bind_one(const char *name, const char *address, int *fd)
{
    char bound[BIND_ADDRESS_MAX];
    *fd = server_bind(address, false, BIND_BACKLOG);
    if (*fd < 0) {
        LOG_ERROR("cannot_listen", LOG_CSTR("option", name), LOG_CSTR("address", address),
                  LOG_CSTR("why", strerror(-*fd)));
        return false;
    }
    server_bound_address(*fd, bound);
    LOG_INFO("listening", LOG_CSTR("option", name), LOG_CSTR("address", bound));
    return true;
}

static void create_parts(struct service *s)
{
    s->roster = roster_create();
    s->guard = (struct guard){.roster = s->roster};
    if (s->journal != NULL) {
        s->guard.known = journal_position(s->journal);
        s->journal_sync = journal_sync_create(&s->loop, s->journal);
    }
    s->propagation = propagation_create(s->roster, s->settings->max_stale_s,
                                        s->url.sentinel_count > 0 ? MASTERSHIP_SLACK_MS : 0);
    open_redis(s);
    s->durability = durability_create(s->data, s->sentinel);
    s->txns = txn_queue_create(&(struct txn_queue_options){.redis = s->data,
                                                           .keyspace = &s->keyspace,
                                                           .guard = &s->guard,
                                                           .journal = s->journal,
                                                           .log_keep = s->settings->log_keep,
                                                           .log_keep_bytes = log_keep_bytes});
    s->watch = store_watch_create(
        &(struct store_watch_options){.data = s->data,
                                      .subscription = s->subscription,
                                      .keyspace = &s->keyspace,
                                      .guard = &s->guard,
                                      .roster = s->roster,
                                      .journal = s->journal,
                                      .txns = s->txns,
                                      .repair_wait_ms = s->settings->repair_wait_ms,
                                      .on_unfit = on_unfit,
                                      .ctx = s});
    s->api = (struct api){.redis = s->data,
                          .keyspace = &s->keyspace,
                          .auth = s->auth,
                          .guard = &s->guard,
                          .journal = s->journal,
                          .journal_sync = s->journal_sync,
                          .roster = s->roster,
                          .propagation = s->propagation,
                          .txns = s->txns,
                          .durability = s->durability};
}

static bool start_servers(struct service *s)
{
    s->api_server = server_create(
        &s->loop, &(struct server_options){.max_connections = CONNECTIONS_MAX,
                                           .idle_timeout_ms = IDLE_TIMEOUT_MS,
                                           .head_timeout_ms = HEAD_TIMEOUT_MS,
                                           .write_timeout_ms = WRITE_TIMEOUT_MS,
                                           .max_body = (size_t)s->settings->max_body_mib << 20,
                                           .handler = api_handle,
                                           .refuse = api_refuse,
                                           .on_access = api_on_access,
                                           .time_calls = true,
                                           .ctx = &s->api});
    s->ops_server =
        server_create(&s->loop, &(struct server_options){.max_connections = CONNECTIONS_MAX,
                                                         .idle_timeout_ms = IDLE_TIMEOUT_MS,
                                                         .head_timeout_ms = HEAD_TIMEOUT_MS,
                                                         .write_timeout_ms = WRITE_TIMEOUT_MS,
                                                         .max_body = OPS_BODY_MAX,
                                                         .handler = admin_ops_handle,
                                                         .refuse = admin_ops_refuse,
                                                         .ctx = &s->ops});
    s->ops = (struct admin_ops){.api = &s->api,
                                .api_server = s->api_server,
                                .roster = s->roster,
                                .propagation = s->propagation,
                                .watch = s->watch,
                                .data = s->data,
                                .subscription = s->subscription};
    return server_listen(s->api_server, s->api_fd, NULL) == 0 &&
           server_listen(s->ops_server, s->ops_fd, NULL) == 0;
}

static void start_handles(struct service *s)
{
    uv_timer_init(&s->loop, &s->tick);
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    for (size_t i = 0; i < CM_ARRAY_LEN(signals); i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, signals[i]);
    }
}

static void destroy_parts(struct service *s)
{
    server_destroy(s->api_server);
    server_destroy(s->ops_server);
    store_watch_destroy(s->watch);
    txn_queue_destroy(s->txns);
    durability_destroy(s->durability);
    journal_sync_destroy(s->journal_sync);
    propagation_destroy(s->propagation);
    roster_destroy(s->roster);
}

static int serve(struct service *s)
{
    CM_ASSERT(uv_loop_init(&s->loop) == 0);
    create_parts(s);
    start_handles(s);
    if (!start_servers(s))
        start_drain(s, 1);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    destroy_parts(s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    CM_ASSERT(uv_loop_close(&s->loop) == 0);
    LOG_INFO("stopped", LOG_I64("status", s->exit_status));
    return s->exit_status;
}

static void read_url(struct service *s)
{
    char error[REDIS_URL_ERROR_MAX];
    CM_ASSERT(redis_url_parse(slice_of(s->settings->redis_url), &s->url, error));
    if (s->settings->redis_password != NULL)
        redis_url_set_password(&s->url, slice_of(s->settings->redis_password));
    CM_ASSERT(keyspace_init(&s->keyspace, slice_of(s->settings->redis_prefix), s->url.database));
}

// False when there is a directory and it is not usable.
static bool open_journal(struct service *s)
{
    struct buf why = {.len = 0};
    if (s->settings->state_dir[0] == '\0') {
        LOG_WARN("no_journal", LOG_CSTR("hint", "set CM_STATE_DIR: without it writes that Redis "
                                                "loses stay lost"));
        return true;
    }
    signal(SIGXFSZ, SIG_IGN); // a limit on the size of files is a full disk
    s->journal = journal_open(s->settings->state_dir, s->keyspace.bell, &why);
    if (s->journal == NULL)
        LOG_ERROR("cannot_start", LOG_CSTR("option", "CM_STATE_DIR"),
                  LOG_CSTR("directory", s->settings->state_dir), LOG_STR("why", buf_slice(&why)));
    buf_fini(&why);
    return s->journal != NULL;
}

int service_run(struct admin_settings *settings)
{
    struct service *s = xcalloc(1, sizeof(*s));
    struct buf errors = {.len = 0};
    int status = 1;
    s->settings = settings;
    s->api_fd = s->ops_fd = -1;
    s->auth = auth_create(settings->tokens_file, &errors);
    read_url(s);
    if (s->auth != NULL && bind_one("CM_ADMIN_LISTEN", settings->listen, &s->api_fd) &&
        bind_one("CM_ADMIN_OPS_LISTEN", settings->ops_listen, &s->ops_fd) && open_journal(s))
        status = serve(s);
    else if (s->auth == NULL) // the file has changed since it was checked
        LOG_ERROR("cannot_start", LOG_STR("why", slice_trim(buf_slice(&errors))));
    if (s->api_fd >= 0)
        close(s->api_fd);
    if (s->ops_fd >= 0)
        close(s->ops_fd);
    journal_close(s->journal);
    auth_destroy(s->auth);
    redis_url_fini(&s->url);
    buf_fini(&errors);
    free(s);
    return status;
}
