// SPDX-License-Identifier: Apache-2.0
// Asks all Sentinels all the time, instead of one of them when a connection has
// failed: so it is known at any moment where to go next, a switch is noticed while
// the old link still works (an isolated old master answers for ever, and its
// clients are killed some ten seconds after it came back, if at all), and there is
// a majority to lean on. A subscription to +switch-master would say the same half
// a second earlier and could be lost; the question cannot.
//
// Where to go: to the address that most Sentinels name at the moment; among equals
// to the one that a Sentinel began to name last, because a Sentinel changes its
// mind only for a newer configuration. Nobody answers: where we were. Being wrong
// for a moment costs nothing, since a link is used only if its ROLE is master, and
// confirms nothing without the majority.
//
// A Sentinel that is gone, garbled or of another opinion is only a voice less. The
// address comes from get-master-addr-by-name: it changes with the promotion, while
// that of SENTINEL MASTER (asked for its counts) changes when the failover ends.
#include "common/store/sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum {
    ASK_MS = 400,
    CONNECT_TIMEOUT_MS = 300,
    REPLY_TIMEOUT_MS = 400,
    IN_FLIGHT_MAX = 8,
};

struct peer {
    struct sentinel *owner;
    struct redis_url url; // borrows from the owner's
    struct redis *link;
    bool asking;
    uint64_t asked_ms;
    // The last answer: sent for when, which address ("" = none), named since when.
    uint64_t as_of_ms, since_ms;
    char host[REDIS_HOST_MAX + 1];
    uint16_t port;
    size_t replicas, others; // of the master; other Sentinels
    bool has_counts;
    bool told_unknown; // in the log, that it does not know the service
};

struct sentinel {
    const struct redis_url *url;
    uv_timer_t timer;
    struct peer peers[REDIS_SENTINELS_MAX];
    struct redis *followers[SENTINEL_FOLLOWERS_MAX];
    size_t follower_count;
    char host[REDIS_HOST_MAX + 1]; // where the followers are sent; "" = not known yet
    uint16_t port;
    bool told_too_few;
    bool closed;
    size_t open_parts;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

// --- counting voices

static bool is_fresh(const struct peer *p, uint64_t now_ms)
{
    return p->host[0] != '\0' && now_ms - p->as_of_ms <= SENTINEL_FRESH_MS;
}

static bool names(const struct peer *p, const char *host, uint16_t port)
{
    return p->port == port && strcmp(p->host, host) == 0;
}

static size_t count_voices(const struct sentinel *s, const char *host, uint16_t port,
                           uint64_t now_ms)
{
    size_t voices = 0;
    for (size_t i = 0; i < s->url->sentinel_count; i++)
        voices += is_fresh(&s->peers[i], now_ms) && names(&s->peers[i], host, port);
    return voices;
}

// All Sentinels of this master, listed in the URL or not.
static size_t count_sentinels(const struct sentinel *s)
{
    size_t most = s->url->sentinel_count;
    for (size_t i = 0; i < s->url->sentinel_count; i++)
        if (s->peers[i].has_counts && s->peers[i].others + 1 > most)
            most = s->peers[i].others + 1;
    return most;
}

bool sentinel_vouches(const struct sentinel *s, const struct redis *r)
{
    uint64_t now_ms = clock_boot_ms();
    return redis_is_at(r, s->host, s->port) &&
           2 * count_voices(s, s->host, s->port, now_ms) > count_sentinels(s);
}

size_t sentinel_replicas(const struct sentinel *s)
{
    size_t most = SENTINEL_REPLICAS_UNKNOWN;
    for (size_t i = 0; i < s->url->sentinel_count; i++) {
        const struct peer *p = &s->peers[i];
        if (p->has_counts && (most == SENTINEL_REPLICAS_UNKNOWN || p->replicas > most))
            most = p->replicas;
    }
    return most;
}

// --- moving the followers

static const struct peer *choose(const struct sentinel *s)
{
    const struct peer *best = NULL;
    size_t most = 0;
    uint64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < s->url->sentinel_count; i++) {
        const struct peer *p = &s->peers[i];
        if (!is_fresh(p, now_ms))
            continue;
        size_t voices = count_voices(s, p->host, p->port, now_ms);
        if (voices > most || (voices == most && p->since_ms > best->since_ms)) {
            best = p;
            most = voices;
        }
    }
    return best;
}

static void move_followers(struct sentinel *s)
{
    const struct peer *to = choose(s);
    if (s->closed || to == NULL || names(to, s->host, s->port))
        return;
    strcpy(s->host, to->host);
    s->port = to->port;
    LOG_INFO("redis_master", LOG_CSTR("service", s->url->service), LOG_CSTR("host", s->host),
             LOG_U64("port", s->port),
             LOG_U64("sentinels", count_voices(s, s->host, s->port, clock_boot_ms())));
    for (size_t i = 0; i < s->follower_count; i++)
        redis_move(s->followers[i], s->host, s->port);
}

void sentinel_follow(struct sentinel *s, struct redis *r)
{
    CM_ASSERT(s->follower_count < SENTINEL_FOLLOWERS_MAX && !s->closed);
    s->followers[s->follower_count++] = r;
    if (s->host[0] != '\0')
        redis_move(r, s->host, s->port);
}

// --- asking one

static void warn_if_too_few(struct sentinel *s)
{
    size_t all = count_sentinels(s);
    if (s->told_too_few || 2 * s->url->sentinel_count > all)
        return;
    s->told_too_few = true;
    LOG_WARN("sentinels_too_few", LOG_U64("listed", s->url->sentinel_count), LOG_U64("known", all),
             LOG_CSTR("hint", "list them all in CM_REDIS_URL: a majority of them must be heard"));
}

static void note_unknown(struct peer *p)
{
    p->host[0] = '\0';
    if (!p->told_unknown)
        LOG_ERROR("sentinel_without_master", LOG_CSTR("host", p->url.host),
                  LOG_U64("port", p->url.port), LOG_CSTR("service", p->owner->url->service),
                  LOG_CSTR("hint", "this Sentinel knows no master of that name"));
    p->told_unknown = true;
}

static void refuse_answer(struct peer *p, const struct redisReply *reply)
{
    char why[160] = "SENTINEL: a reply that makes no sense";
    if (reply_is_error(reply))
        snprintf(why, sizeof(why), "SENTINEL: %.*s", SLICE_FMT(reply_bytes(reply)));
    p->host[0] = '\0';
    redis_fail(p->link, why);
}

// [host, port], or nil.
static void on_address(void *ctx, const struct redisReply *reply)
{
    struct peer *p = ctx;
    uint64_t port;
    if (reply == NULL || p->owner->closed)
        return;
    if (reply_is_nil(reply)) {
        note_unknown(p);
        return;
    }
    struct slice host = SLICE_NONE;
    if (reply_count(reply) == 2)
        host = reply_bytes(reply_at(reply, 0));
    if (host.len == 0 || host.len > REDIS_HOST_MAX || memchr(host.ptr, '\0', host.len) != NULL ||
        !slice_parse_u64(reply_bytes(reply_at(reply, 1)), UINT16_MAX, &port) || port == 0) {
        refuse_answer(p, reply);
        return;
    }
    p->told_unknown = false;
    p->as_of_ms = p->asked_ms;
    if (p->port != port || !slice_equal(host, slice_of(p->host)))
        p->since_ms = p->asked_ms;
    snprintf(p->host, sizeof(p->host), "%.*s", SLICE_FMT(host));
    p->port = (uint16_t)port;
    move_followers(p->owner);
}

static bool find_count(const struct redisReply *reply, struct slice name, size_t *out)
{
    uint64_t number;
    for (size_t i = 0; i + 1 < reply_count(reply); i += 2)
        if (slice_equal(reply_bytes(reply_at(reply, i)), name) &&
            slice_parse_u64(reply_bytes(reply_at(reply, i + 1)), UINT16_MAX, &number)) {
            *out = (size_t)number;
            return true;
        }
    return false;
}

// [name, value, ...]; without it (an error, say) only the address is known.
static void on_counts(void *ctx, const struct redisReply *reply)
{
    struct peer *p = ctx;
    p->asking = false;
    if (reply == NULL || p->owner->closed)
        return;
    size_t replicas, others;
    if (!find_count(reply, SLICE_LIT("num-slaves"), &replicas) ||
        !find_count(reply, SLICE_LIT("num-other-sentinels"), &others))
        return;
    p->replicas = replicas;
    p->others = others;
    p->has_counts = true;
    warn_if_too_few(p->owner);
}

static void ask(struct peer *p)
{
    struct slice service = slice_of(p->owner->url->service);
    const struct slice address[] = {SLICE_LIT("SENTINEL"), SLICE_LIT("get-master-addr-by-name"),
                                    service};
    const struct slice counts[] = {SLICE_LIT("SENTINEL"), SLICE_LIT("MASTER"), service};
    if (p->asking || redis_room(p->link) < 2)
        return;
    p->asking = true;
    p->asked_ms = clock_boot_ms();
    bool sent = redis_command(p->link, CM_ARRAY_LEN(address), address, on_address, p) &&
                redis_command(p->link, CM_ARRAY_LEN(counts), counts, on_counts, p);
    CM_ASSERT(sent);
}

static void on_peer_link(void *ctx, bool up)
{
    struct peer *p = ctx;
    if (up && !p->owner->closed)
        ask(p);
}

static void on_time(uv_timer_t *timer);

// +-10 %, so that a fleet does not ask in step.
static void start_timer(struct sentinel *s)
{
    uint32_t random;
    util_random(&random, sizeof(random));
    uv_timer_start(&s->timer, on_time, ASK_MS * 9 / 10 + random % (ASK_MS / 5 + 1), 0);
}

static void on_time(uv_timer_t *timer)
{
    struct sentinel *s = timer->data;
    start_timer(s);
    for (size_t i = 0; i < s->url->sentinel_count; i++)
        ask(&s->peers[i]);
    move_followers(s); // what was said may be too old by now
}

// --- opening and closing

static void open_peer(struct sentinel *s, size_t i, uv_loop_t *loop, const char *name)
{
    struct peer *p = &s->peers[i];
    p->owner = s;
    p->url = (struct redis_url){.host = s->url->sentinels[i].host,
                                .port = s->url->sentinels[i].port,
                                .user = s->url->user,
                                .password = s->url->password};
    const struct redis_options options = {.url = &p->url,
                                          .name = name,
                                          .role = "sentinel",
                                          .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                          .reply_timeout_ms = REPLY_TIMEOUT_MS,
                                          .max_in_flight = IN_FLIGHT_MAX,
                                          .on_link = on_peer_link,
                                          .ctx = p};
    p->link = redis_open(loop, &options);
}

struct sentinel *sentinel_open(uv_loop_t *loop, const struct redis_url *url, const char *name)
{
    CM_ASSERT(url->sentinel_count > 0);
    struct sentinel *s = xcalloc(1, sizeof(*s));
    s->url = url;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    start_timer(s);
    for (size_t i = 0; i < url->sentinel_count; i++)
        open_peer(s, i, loop, name);
    return s;
}

static void on_part_closed(void *ctx)
{
    struct sentinel *s = ctx;
    if (--s->open_parts > 0)
        return;
    void (*on_closed)(void *) = s->on_closed;
    void *closed_ctx = s->closed_ctx;
    free(s);
    if (on_closed != NULL)
        on_closed(closed_ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

void sentinel_close(struct sentinel *s, void (*on_closed)(void *ctx), void *ctx)
{
    CM_ASSERT(!s->closed);
    s->closed = true;
    s->on_closed = on_closed;
    s->closed_ctx = ctx;
    s->open_parts = 1 + s->url->sentinel_count;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    for (size_t i = 0; i < s->url->sentinel_count; i++)
        redis_close(s->peers[i].link, on_part_closed, s);
}
