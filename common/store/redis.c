// SPDX-License-Identifier: Apache-2.0
// A connection that comes back by itself.
//
//   WAITING --timer--> OPENING --greeting done--> UP --failure--> DROPPED
//      ^                  |failure                                  |
//      |                  +---------------------> DROPPED           |
//      +------------------- next turn of the loop ------------------+
//
// The greeting is one pipeline: AUTH, SELECT, CLIENT SETNAME, PING (it alone
// fails while Redis loads its data), ROLE, SUBSCRIBE. Only a master is good
// enough: a replica may be behind, and an old master that was demoted answers
// reads for ever, so ROLE is asked again each second. (Whether another master has
// been made meanwhile ROLE does not know: mastership.h.)
//
// Where it connects to may change under it (redis_move): then the link is dropped
// like a failed one and the next try goes there, without waiting.
//
// Every way to fail goes through drop(): the wire is closed at once and the rest
// (NULL to all that wait, on_link(false), the back-off) follows in the next turn,
// in settle. So no callback ever runs inside a call of its owner, and every call
// is allowed inside every callback.
//
// Deadlines are counted from what Redis said last (pending.h). A loop that
// was stopped itself finds the timer expired before it has looked at the socket;
// therefore an expired deadline gets one more look (GRACE_MS) before it counts.
//
// Tries are counted from their start, so that a try which timed out does not make
// the next one later: a Redis that is back is found within 1.25 s, and a dead one
// sees one connect a second. The back-off starts anew only after a second of being
// up: a Redis that greets well and then refuses the real work is not tried more
// often than a dead one, and is logged once, not once a try.
#include "common/store/redis.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/store/pending.h"
#include "common/store/redis_uv.h"

enum {
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 1000,
    BACKOFF_GROWTH = 4,
    BEAT_MS = 1000,
    GRACE_MS = 10,
    WHY_MAX = 200,
};

enum link_state {
    LINK_WAITING, // no wire; the timer runs, unless it is not known where to connect to
    LINK_OPENING, // the wire connects or greets
    LINK_UP,
    LINK_DROPPED, // the wire is closing; settle will run
    LINK_CLOSED   // redis_close was called; settle will run
};

struct redis {
    uv_loop_t *loop;
    struct redis_options options;
    struct redis_url at; // of options.url; host and port as redis_move said
    char host[REDIS_HOST_MAX + 1];
    enum link_state state;
    struct redis_uv *wire;
    unsigned wires_closing;
    unsigned attempt;
    uv_timer_t timer; // WAITING: the back-off; OPENING, UP: the oldest reply's deadline
    uv_timer_t beat;
    uv_idle_t settle;
    unsigned open_handles;
    uint32_t backoff_ms; // the last one; 0 = start anew
    uint64_t opened_ms;  // when the last wire was
    bool moved;          // to an address that has not been tried yet
    bool announced;      // on_link(true) has run, on_link(false) has not
    struct pending pending;
    bool suspect; // the oldest one's deadline has passed once
    bool beat_under_way;
    size_t subscribed;
    // For the log: the reason it was last told to be down, "" when up.
    char why[WHY_MAX], logged[WHY_MAX];
    bool steady;   // it has been up for a beat
    bool flapping; // its last time up ended before that
    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

// --- the log: a line per change, none per try

static void log_link(const struct redis *r, enum log_level level, const char *event)
{
    bool local = r->at.path != NULL;
    LOG_AT(level, event, LOG_CSTR("connection", r->options.name),
           LOG_CSTR("host", local ? r->at.path : r->at.host),
           LOG_U64("port", local ? 0 : r->at.port), LOG_CSTR("reason", r->why));
}

static void log_down(struct redis *r)
{
    if (strcmp(r->logged, r->why) == 0)
        return;
    memcpy(r->logged, r->why, sizeof(r->logged));
    log_link(r, LOG_LEVEL_WARN, "redis_down");
}

static void log_up(struct redis *r)
{
    r->why[0] = r->logged[0] = '\0';
    log_link(r, LOG_LEVEL_INFO, "redis_up");
}

// --- failing and closing

static void on_settle(uv_idle_t *settle);

static void on_wire_closed(void *ctx);

static void leave(struct redis *r, enum link_state state)
{
    r->state = state;
    uv_timer_stop(&r->timer);
    uv_timer_stop(&r->beat);
    uv_idle_start(&r->settle, on_settle);
    if (r->wire != NULL) {
        r->wires_closing++;
        redis_uv_close(r->wire, on_wire_closed, r);
        r->wire = NULL;
    }
}

CM_PRINTF(2, 3) static void drop(struct redis *r, const char *format, ...)
{
    if (r->state != LINK_OPENING && r->state != LINK_UP)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof(r->why), format, args);
    va_end(args);
    if (r->state == LINK_UP)
        r->flapping = !r->steady;
    else
        r->attempt++;
    leave(r, LINK_DROPPED);
    log_down(r);
}

static void release(struct redis *r)
{
    if (r->open_handles > 0 || r->wires_closing > 0)
        return;
    void (*on_closed)(void *) = r->on_closed;
    void *ctx = r->closed_ctx;
    pending_fini(&r->pending);
    free(r);
    if (on_closed != NULL)
        on_closed(ctx);
}

static void on_wire_closed(void *ctx)
{
    struct redis *r = ctx;
    r->wires_closing--;
    release(r);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis *r = handle->data;
    r->open_handles--;
    release(r);
}

static void answer_none(struct redis *r)
{
    while (r->pending.count > 0) {
        struct pending_one one = pending_take(&r->pending, now_ms());
        if (one.on_reply != NULL)
            one.on_reply(one.ctx, NULL);
    }
}

static void on_timer(uv_timer_t *timer);

static bool has_address(const struct redis *r)
{
    return r->at.path != NULL || r->at.host != NULL;
}

static uint32_t next_backoff(uint32_t last)
{
    uint32_t next = last == 0 ? BACKOFF_MIN_MS : last * BACKOFF_GROWTH;
    return next > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : next;
}

static void wait_for_retry(struct redis *r)
{
    uint32_t random;
    util_random(&random, sizeof(random));
    r->state = LINK_WAITING;
    if (!has_address(r))
        return;
    bool at_once = r->moved;
    r->moved = false;
    r->backoff_ms = next_backoff(r->backoff_ms);
    uint64_t now = now_ms(), wait = BACKOFF_MIN_MS / 2 + random % BACKOFF_MIN_MS;
    uint64_t at = r->opened_ms + r->backoff_ms + random % (r->backoff_ms / 4);
    if (at > now + wait)
        wait = at - now;
    uv_timer_start(&r->timer, on_timer, at_once ? 0 : wait, 0);
}

// What a failure or redis_close left to do. A callback in here may call
// redis_close, which starts this handle again: then the rest waits for that.
static void on_settle(uv_idle_t *settle)
{
    struct redis *r = settle->data;
    bool closing = r->state == LINK_CLOSED;
    uv_idle_stop(settle);
    answer_none(r);
    if (closing) {
        uv_close((uv_handle_t *)&r->timer, on_handle_closed);
        uv_close((uv_handle_t *)&r->beat, on_handle_closed);
        uv_close((uv_handle_t *)&r->settle, on_handle_closed);
        return;
    }
    if (r->announced && r->state == LINK_DROPPED) {
        r->announced = false;
        if (r->options.on_link != NULL)
            r->options.on_link(r->options.ctx, false);
    }
    if (r->state == LINK_DROPPED)
        wait_for_retry(r);
}

void redis_fail(struct redis *r, const char *why)
{
    drop(r, "%s", why);
}

bool redis_is_at(const struct redis *r, const char *host, uint16_t port)
{
    return r->at.host != NULL && r->at.port == port && strcmp(r->at.host, host) == 0;
}

void redis_move(struct redis *r, const char *host, uint16_t port)
{
    if (r->state == LINK_CLOSED || strlen(host) > REDIS_HOST_MAX || redis_is_at(r, host, port))
        return;
    drop(r, "the master is now %s:%u", host, port);
    strcpy(r->host, host);
    r->at.host = r->host;
    r->at.port = port;
    r->moved = true;
    r->attempt = 0;
    if (r->state == LINK_WAITING)
        wait_for_retry(r);
}

void redis_close(struct redis *r, void (*on_closed)(void *ctx), void *ctx)
{
    CM_ASSERT(r->state != LINK_CLOSED);
    r->on_closed = on_closed;
    r->closed_ctx = ctx;
    leave(r, LINK_CLOSED);
}

// --- commands and replies

static void check_deadline(struct redis *r)
{
    if (r->pending.count == 0)
        return;
    uint64_t now = now_ms(), timeout = r->options.reply_timeout_ms;
    uint64_t due = pending_due_ms(&r->pending, redis_uv_heard_ms(r->wire), timeout);
    if (due > now) {
        r->suspect = false;
        uv_timer_start(&r->timer, on_timer, due - now, 0);
    } else if (!r->suspect) {
        r->suspect = true;
        uv_timer_start(&r->timer, on_timer, GRACE_MS, 0);
    } else {
        drop(r, "no reply within %" PRIu64 " ms", timeout);
    }
}

static void send_command(struct redis *r, size_t argc, const struct slice *argv,
                         redis_on_reply on_reply, void *ctx)
{
    pending_push(&r->pending, on_reply, ctx, now_ms());
    redis_uv_send(r->wire, argc, argv);
    if (!uv_is_active((uv_handle_t *)&r->timer)) {
        r->suspect = false;
        uv_timer_start(&r->timer, on_timer, r->options.reply_timeout_ms, 0);
    }
}

bool redis_command(struct redis *r, size_t argc, const struct slice *argv, redis_on_reply on_reply,
                   void *ctx)
{
    CM_ASSERT(argc > 0 && r->options.channels == NULL);
    if (redis_room(r) == 0)
        return false;
    send_command(r, argc, argv, on_reply, ctx);
    return true;
}

static bool is_message(const struct redis *r, const struct redisReply *reply)
{
    return r->options.channels != NULL && reply_count(reply) == 3 &&
           slice_equal(reply_bytes(reply_at(reply, 0)), SLICE_LIT("message"));
}

// Does the error say that this is no usable master any more?
static bool ends_link(const struct redisReply *reply)
{
    static const char *const words[] = {"READONLY ", "LOADING ", "MASTERDOWN ", "NOAUTH "};
    for (size_t i = 0; i < CM_ARRAY_LEN(words); i++)
        if (slice_starts_with(reply_bytes(reply), slice_of(words[i])))
            return true;
    return false;
}

static void on_wire_reply(void *ctx, const struct redisReply *reply)
{
    struct redis *r = ctx;
    if (is_message(r, reply)) {
        r->options.on_message(r->options.ctx, reply_bytes(reply_at(reply, 1)),
                              reply_bytes(reply_at(reply, 2)));
        return;
    }
    if (r->pending.count == 0) { // such as "ERR max number of clients reached"
        drop(r, "unexpected reply: %.*s", SLICE_FMT(reply_bytes(reply)));
        return;
    }
    struct pending_one one = pending_take(&r->pending, now_ms());
    r->suspect = false;
    if (one.on_reply != NULL)
        one.on_reply(one.ctx, reply);
    if (reply_is_error(reply) && ends_link(reply))
        drop(r, "%.*s", SLICE_FMT(reply_bytes(reply)));
}

// --- greeting

static void on_beat(uv_timer_t *beat);

static void rise(struct redis *r)
{
    r->state = LINK_UP;
    r->steady = false;
    uv_timer_start(&r->beat, on_beat, BEAT_MS, BEAT_MS);
    if (!r->flapping)
        log_up(r);
    r->announced = true;
    if (r->options.on_link != NULL)
        r->options.on_link(r->options.ctx, true);
}

// False when there is no answer or it is an error, which ends the connection.
static bool is_fine(struct redis *r, const char *step, const struct redisReply *reply)
{
    if (reply == NULL)
        return false;
    if (reply_is_error(reply))
        drop(r, "%s: %.*s", step, SLICE_FMT(reply_bytes(reply)));
    return !reply_is_error(reply);
}

// A Sentinel may be without users, or have its own: one that wants a login and got
// none that it knows refuses the PING. An error repeats what Redis did not understand,
// and that may be the password: only its code is safe to show.
static void on_auth(void *ctx, const struct redisReply *reply)
{
    struct redis *r = ctx;
    if (r->options.role != NULL || reply == NULL || !reply_is_error(reply))
        return;
    struct slice text = reply_bytes(reply), code = slice_take(&text, ' ');
    drop(r, "AUTH: %.*s (the rest may name the password)", SLICE_FMT(code));
}

static void on_select(void *ctx, const struct redisReply *reply)
{
    (void)is_fine(ctx, "SELECT", reply);
}

static void on_pong(void *ctx, const struct redisReply *reply)
{
    struct redis *r = ctx;
    r->beat_under_way = false;
    (void)is_fine(r, "PING", reply);
}

static void on_role(void *ctx, const struct redisReply *reply)
{
    struct redis *r = ctx;
    r->beat_under_way = false;
    if (!is_fine(r, "ROLE", reply))
        return;
    struct slice role = reply_count(reply) > 0 ? reply_bytes(reply_at(reply, 0)) : SLICE_NONE;
    const char *wanted = r->options.role != NULL ? r->options.role : "master";
    if (!slice_equal(role, slice_of(wanted)))
        drop(r, "its role is '%.*s', not %s", SLICE_FMT(role), wanted);
    else if (r->state == LINK_OPENING && r->options.channels == NULL)
        rise(r);
}

static void on_subscribed(void *ctx, const struct redisReply *reply)
{
    struct redis *r = ctx;
    if (!is_fine(r, "SUBSCRIBE", reply))
        return;
    if (r->options.channels[++r->subscribed] == NULL)
        rise(r);
}

static void send_words(struct redis *r, redis_on_reply on_reply, const char *word, const char *more,
                       const char *last)
{
    struct slice argv[3] = {slice_of(word), slice_of(more), slice_of(last)};
    send_command(r, last != NULL ? 3 : more != NULL ? 2 : 1, argv, on_reply, r);
}

static void on_wire_connect(void *ctx)
{
    struct redis *r = ctx;
    const struct redis_url *url = &r->at;
    const char *password = url->password != NULL ? url->password : "";
    char database[12];
    if (url->user != NULL)
        send_words(r, on_auth, "AUTH", url->user, password);
    else if (url->password != NULL)
        send_words(r, on_auth, "AUTH", password, NULL);
    if (url->database > 0) {
        snprintf(database, sizeof(database), "%" PRIu32, url->database);
        send_words(r, on_select, "SELECT", database, NULL);
    }
    // Only for CLIENT LIST: a user without the right to it works as well.
    send_words(r, NULL, "CLIENT", "SETNAME", r->options.name);
    send_words(r, on_pong, "PING", NULL, NULL);
    send_words(r, on_role, "ROLE", NULL, NULL);
    r->subscribed = 0;
    for (size_t i = 0; r->options.channels != NULL && r->options.channels[i] != NULL; i++)
        send_words(r, on_subscribed, "SUBSCRIBE", r->options.channels[i], NULL);
}

static void on_beat(uv_timer_t *beat)
{
    struct redis *r = beat->data;
    if (!r->steady) {
        r->steady = true;
        r->backoff_ms = 0;
        if (r->flapping)
            log_up(r);
        r->flapping = false;
    }
    if (r->beat_under_way)
        return;
    r->beat_under_way = true;
    if (r->options.channels != NULL)
        send_words(r, on_pong, "PING", NULL, NULL);
    else
        send_words(r, on_role, "ROLE", NULL, NULL);
}

// --- opening

static void on_wire_fail(void *ctx, const char *why)
{
    drop(ctx, "%s", why);
}

static void open_wire(struct redis *r)
{
    static const struct redis_uv_events events = {
        .on_connect = on_wire_connect, .on_reply = on_wire_reply, .on_fail = on_wire_fail};
    r->state = LINK_OPENING;
    r->beat_under_way = false;
    r->opened_ms = now_ms();
    r->wire = redis_uv_open(r->loop, &r->at, r->attempt, r->options.connect_timeout_ms, &events, r);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    if (r->state == LINK_WAITING)
        open_wire(r);
    else
        check_deadline(r);
}

struct redis *redis_open(uv_loop_t *loop, const struct redis_options *options)
{
    CM_ASSERT(options->reply_timeout_ms > 0 && options->max_in_flight > 0);
    CM_ASSERT(options->channels == NULL || options->channels[0] != NULL);
    signal(SIGPIPE, SIG_IGN);
    struct redis *r = xcalloc(1, sizeof(*r));
    r->loop = loop;
    r->options = *options;
    r->at = *options->url;
    r->state = LINK_WAITING;
    uv_timer_init(loop, &r->timer);
    uv_timer_init(loop, &r->beat);
    uv_idle_init(loop, &r->settle);
    r->timer.data = r->beat.data = r->settle.data = r;
    r->open_handles = 3;
    if (has_address(r))
        uv_timer_start(&r->timer, on_timer, 0, 0);
    return r;
}

bool redis_is_up(const struct redis *r)
{
    return r->state == LINK_UP;
}

size_t redis_room(const struct redis *r)
{
    if (r->state != LINK_UP || r->pending.count >= r->options.max_in_flight)
        return 0;
    return r->options.max_in_flight - r->pending.count;
}

uv_loop_t *redis_loop(const struct redis *r)
{
    return r->loop;
}
