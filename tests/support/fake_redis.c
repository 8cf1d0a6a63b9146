// SPDX-License-Identifier: Apache-2.0
// Commands are arrays of strings, so hiredis' reader takes them apart. Each
// connection has a queue of chunks, which its timer sends in order on the loop's next turn.
#include "tests/support/fake_redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "tests/support/test.h"

enum { RULES_MAX = 64, VERB_MAX = 16, CONNECTIONS_MAX = 64, ARGC_MAX = 64, CHUNKS_MAX = 4096 };

struct rule {
    char verb[VERB_MAX];
    char *raw; // NULL = the built-in reply
    bool silence, cut;
    size_t seen;
};

struct chunk {
    char *ptr;
    size_t len;
};

struct connection {
    struct fake_redis *fake;
    uv_tcp_t tcp;
    uv_timer_t timer;
    unsigned open_handles;
    bool closing;
    redisReader *reader;
    struct chunk chunks[CHUNKS_MAX];
    size_t count;
    bool has_sent[RULES_MAX]; // by rule
    char input[65536];
};

struct fake_redis {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uint16_t port;
    bool stopped, listening, trickle, held, refusing;
    struct rule rules[RULES_MAX];
    size_t rule_count;
    struct connection *connections[CONNECTIONS_MAX];
    size_t open, accepted;
    bool (*handler)(void *ctx, size_t argc, const struct slice *argv, struct buf *out);
    void *handler_ctx;
};

// --- the end

static void release(struct fake_redis *f)
{
    if (!f->stopped || f->listening || f->open > 0)
        return;
    for (size_t i = 0; i < f->rule_count; i++)
        free(f->rules[i].raw);
    free(f);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    if (--c->open_handles > 0)
        return;
    struct fake_redis *f = c->fake;
    for (size_t i = 0; i < c->count; i++)
        free(c->chunks[i].ptr);
    redisReaderFree(c->reader);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (f->connections[i] == c)
            f->connections[i] = NULL;
    free(c);
    f->open--;
    release(f);
}

static void cut(struct connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
    uv_close((uv_handle_t *)&c->timer, on_connection_closed);
}

void fake_redis_cut_all(struct fake_redis *f)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (f->connections[i] != NULL)
            cut(f->connections[i]);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct fake_redis *f = handle->data;
    f->listening = false;
    release(f);
}

void fake_redis_stop(struct fake_redis *f)
{
    f->stopped = true;
    uv_close((uv_handle_t *)&f->listener, on_listener_closed);
    fake_redis_cut_all(f);
}

// --- sending

struct sent {
    uv_write_t write;
    char *ptr;
};

static void on_written(uv_write_t *write, int status)
{
    struct sent *s = CM_CONTAINER_OF(write, struct sent, write);
    (void)status;
    free(s->ptr);
    free(s);
}

static void write_bytes(struct connection *c, char *ptr, size_t len)
{
    struct sent *s = xmalloc(sizeof(*s));
    s->ptr = ptr;
    uv_buf_t bytes = uv_buf_init(ptr, (unsigned)len);
    if (uv_write(&s->write, (uv_stream_t *)&c->tcp, &bytes, 1, on_written) != 0)
        on_written(&s->write, 0);
}

static void on_send_time(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    size_t done = 0;
    if (c->fake->held)
        return;
    while (done < c->count) {
        struct chunk *at = &c->chunks[done];
        if (c->fake->trickle && at->len > 1) {
            char *one = xmalloc(1);
            *one = *at->ptr;
            memmove(at->ptr, at->ptr + 1, --at->len);
            write_bytes(c, one, 1);
            break;
        }
        write_bytes(c, at->ptr, at->len);
        done++;
    }
    c->count -= done;
    memmove(c->chunks, c->chunks + done, c->count * sizeof(c->chunks[0]));
    if (c->count > 0)
        uv_timer_start(timer, on_send_time, 0, 0);
}

static void send_later(struct connection *c, const char *ptr, size_t len)
{
    if (len == 0 || c->closing)
        return;
    assert_true(c->count < CHUNKS_MAX);
    struct chunk *chunk = &c->chunks[c->count++];
    *chunk = (struct chunk){.ptr = xmalloc(len), .len = len};
    memcpy(chunk->ptr, ptr, len);
    if (c->count == 1)
        uv_timer_start(&c->timer, on_send_time, 0, 0);
}

void fake_redis_push(struct fake_redis *f, struct slice raw)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (f->connections[i] != NULL)
            send_later(f->connections[i], raw.ptr, raw.len);
}

static struct rule *rule_for(struct fake_redis *f, const char *verb);

void fake_redis_push_to(struct fake_redis *f, const char *verb, struct slice raw)
{
    ptrdiff_t rule = rule_for(f, verb) - f->rules;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (f->connections[i] != NULL && f->connections[i]->has_sent[rule])
            send_later(f->connections[i], raw.ptr, raw.len);
}

void fake_redis_message(struct fake_redis *f, const char *channel, const char *payload)
{
    struct buf raw = {0};
    buf_printf(&raw, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(channel),
               channel, strlen(payload), payload);
    fake_redis_push(f, buf_slice(&raw));
    buf_fini(&raw);
}

void fake_redis_hold(struct fake_redis *f)
{
    f->held = true;
}

void fake_redis_release(struct fake_redis *f)
{
    f->held = false;
    for (size_t i = CONNECTIONS_MAX; i > 0; i--)
        if (f->connections[i - 1] != NULL && !f->connections[i - 1]->closing)
            on_send_time(&f->connections[i - 1]->timer);
}

// --- the script

static struct rule *find_rule(const struct fake_redis *f, const char *verb)
{
    for (size_t i = 0; i < f->rule_count; i++)
        if (strcmp(f->rules[i].verb, verb) == 0)
            return (struct rule *)(uintptr_t)&f->rules[i];
    return NULL;
}

static struct rule *rule_for(struct fake_redis *f, const char *verb)
{
    struct rule *rule = find_rule(f, verb);
    if (rule == NULL) {
        assert_true(f->rule_count < RULES_MAX && strlen(verb) < VERB_MAX);
        rule = &f->rules[f->rule_count++];
        strcpy(rule->verb, verb);
    }
    return rule;
}

void fake_redis_forget(struct fake_redis *f, const char *verb)
{
    struct rule *rule = rule_for(f, verb);
    free(rule->raw);
    rule->raw = NULL;
    rule->silence = rule->cut = false;
}

void fake_redis_reply(struct fake_redis *f, const char *verb, const char *raw)
{
    fake_redis_forget(f, verb);
    rule_for(f, verb)->raw = xstrndup(raw, strlen(raw));
}

void fake_redis_silence(struct fake_redis *f, const char *verb)
{
    rule_for(f, verb)->silence = true;
}

void fake_redis_cut(struct fake_redis *f, const char *verb)
{
    rule_for(f, verb)->cut = true;
}

void fake_redis_trickle(struct fake_redis *f, bool on)
{
    f->trickle = on;
}

void fake_redis_refuse(struct fake_redis *f, bool on)
{
    f->refusing = on;
}

void fake_redis_handle(struct fake_redis *f,
                       bool (*handler)(void *ctx, size_t argc, const struct slice *argv,
                                       struct buf *out),
                       void *ctx)
{
    f->handler = handler;
    f->handler_ctx = ctx;
}

static void add_built_in(struct buf *out, const char *verb, size_t argc, const struct slice *argv)
{
    static const struct {
        const char *verb, *raw;
    } replies[] = {
        {"AUTH", "+OK\r\n"},
        {"SELECT", "+OK\r\n"},
        {"CLIENT", "+OK\r\n"},
        {"PING", "+PONG\r\n"},
        {"PUBLISH", ":0\r\n"},
        {"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"},
        {"INFO", "$13\r\nrole:master\r\n\r\n"},
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(replies); i++)
        if (strcmp(verb, replies[i].verb) == 0) {
            buf_append_str(out, replies[i].raw);
            return;
        }
    if (strcmp(verb, "SUBSCRIBE") == 0 && argc == 2)
        buf_printf(out, "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%.*s\r\n:1\r\n", argv[1].len,
                   SLICE_FMT(argv[1]));
    else
        buf_printf(out, "-ERR the script has no reply to %s\r\n", verb);
}

static void answer(struct connection *c, size_t argc, const struct slice *argv)
{
    struct fake_redis *f = c->fake;
    char verb[VERB_MAX];
    assert_true(argc > 0 && argv[0].len < VERB_MAX);
    snprintf(verb, sizeof(verb), "%.*s", SLICE_FMT(argv[0]));
    struct rule *rule = rule_for(f, verb);
    rule->seen++;
    c->has_sent[rule - f->rules] = true;
    if (rule->cut)
        cut(c);
    if (rule->cut || rule->silence)
        return;
    struct buf out = {0};
    if (f->handler == NULL || !f->handler(f->handler_ctx, argc, argv, &out)) {
        if (rule->raw != NULL)
            buf_append_str(&out, rule->raw);
        else
            add_built_in(&out, verb, argc, argv);
    }
    send_later(c, out.ptr, out.len);
    buf_fini(&out);
}

// --- receiving

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct connection *c = handle->data;
    (void)suggested;
    *out = uv_buf_init(c->input, sizeof(c->input));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct connection *c = stream->data;
    if (got < 0) {
        cut(c);
        return;
    }
    assert_int_equal(redisReaderFeed(c->reader, bytes->base, (size_t)got), REDIS_OK);
    void *command;
    while (!c->closing && redisReaderGetReply(c->reader, &command) == REDIS_OK && command != NULL) {
        const redisReply *r = command;
        struct slice argv[ARGC_MAX];
        size_t argc = r->elements < ARGC_MAX ? r->elements : ARGC_MAX;
        for (size_t i = 0; i < argc; i++)
            argv[i] = slice_make(r->element[i]->str, r->element[i]->len);
        answer(c, argc, argv);
        freeReplyObject(command);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fake_redis *f = listener->data;
    assert_int_equal(status, 0);
    size_t slot = 0;
    while (f->connections[slot] != NULL)
        assert_true(++slot < CONNECTIONS_MAX);
    struct connection *c = xcalloc(1, sizeof(*c));
    c->fake = f;
    c->reader = redisReaderCreate();
    uv_tcp_init(f->loop, &c->tcp);
    uv_timer_init(f->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->open_handles = 2;
    f->connections[slot] = c;
    f->open++;
    f->accepted++;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
    if (f->refusing)
        cut(c);
    else
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

struct fake_redis *fake_redis_start(uv_loop_t *loop)
{
    struct fake_redis *f = xcalloc(1, sizeof(*f));
    struct sockaddr_in address;
    int len = sizeof(address);
    f->loop = loop;
    uv_tcp_init(loop, &f->listener);
    f->listener.data = f;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_bind(&f->listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 64, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&f->listener, (struct sockaddr *)&address, &len), 0);
    f->port = ntohs(address.sin_port);
    f->listening = true;
    return f;
}

uint16_t fake_redis_port(const struct fake_redis *f)
{
    return f->port;
}

size_t fake_redis_seen(const struct fake_redis *f, const char *verb)
{
    const struct rule *rule = find_rule(f, verb);
    return rule != NULL ? rule->seen : 0;
}

size_t fake_redis_accepted(const struct fake_redis *f)
{
    return f->accepted;
}

size_t fake_redis_open_connections(const struct fake_redis *f)
{
    return f->open;
}
