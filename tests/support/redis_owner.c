// SPDX-License-Identifier: Apache-2.0
// Each callback checks what redis.h promises about it before it counts.
#include "tests/support/redis_owner.h"

#include <stdio.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/test.h"

void redis_owner_on_link(void *ctx, bool up)
{
    struct redis_owner *o = ctx;
    assert_true(up != o->up); // alternating, starting with up
    assert_true(redis_is_up(o->redis) == up);
    o->up = up;
    if (up)
        o->ups++;
    else
        o->downs++;
    if (!up)
        o->nones_at_down = o->nones;
}

void redis_owner_on_message(void *ctx, struct slice channel, struct slice payload)
{
    struct redis_owner *o = ctx;
    o->messages++;
    snprintf(o->last, sizeof(o->last), "%.*s=%.*s", SLICE_FMT(channel), SLICE_FMT(payload));
}

void redis_owner_on_closed(void *ctx)
{
    struct redis_owner *o = ctx;
    o->closed = true;
}

void redis_owner_on_reply(void *ctx, const struct redisReply *reply)
{
    struct redis_owner *o = ctx;
    if (reply == NULL) {
        o->nones++;
        return;
    }
    o->replies++;
    if (reply_is_error(reply))
        o->errors++;
    snprintf(o->last, sizeof(o->last), "%.*s", SLICE_FMT(reply_bytes(reply)));
    int64_t n;
    if (reply_integer(reply, &n))
        o->integer = n;
}

void redis_owner_init(struct redis_owner *o, uv_loop_t *loop, const char *url)
{
    char error[REDIS_URL_ERROR_MAX];
    *o = (struct redis_owner){.loop = loop};
    assert_true(redis_url_parse(slice_of(url), &o->url, error));
    o->options = (struct redis_options){.url = &o->url,
                                        .name = "cm-test",
                                        .connect_timeout_ms = 300,
                                        .reply_timeout_ms = 300,
                                        .max_in_flight = 1000,
                                        .on_message = redis_owner_on_message,
                                        .on_link = redis_owner_on_link,
                                        .ctx = o};
}

void redis_owner_init_patient(struct redis_owner *o, uv_loop_t *loop, const char *url)
{
    redis_owner_init(o, loop, url);
    o->options.reply_timeout_ms = 10000;
}

void redis_owner_open(struct redis_owner *o)
{
    o->redis = redis_open(o->loop, &o->options);
    assert_false(redis_is_up(o->redis));
}

void redis_owner_open_port(struct redis_owner *o, uv_loop_t *loop, uint16_t port)
{
    char url[64];
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", port);
    redis_owner_init(o, loop, url);
    redis_owner_open(o);
}

void redis_owner_close(struct redis_owner *o)
{
    if (!o->closed)
        redis_close(o->redis, redis_owner_on_closed, o);
    loop_run_until_set(o->loop, &o->closed, 2000);
    redis_url_fini(&o->url);
}

void redis_owner_wait_up(struct redis_owner *o, size_t ups)
{
    if (!loop_try_count(o->loop, &o->ups, ups, 5000))
        fail_msg("up %zu times, want %zu", o->ups, ups);
}

bool redis_owner_send(struct redis_owner *o, const char *verb, const char *key, const char *value)
{
    struct slice argv[3] = {slice_of(verb), slice_of(key), slice_of(value)};
    size_t before = o->replies + o->nones;
    bool sent = redis_command(o->redis,
                              value != NULL ? 3
                              : key != NULL ? 2
                                            : 1,
                              argv, redis_owner_on_reply, o);
    assert_int_equal(o->replies + o->nones, before); // never before it has returned
    return sent;
}
