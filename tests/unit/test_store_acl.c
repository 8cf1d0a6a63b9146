// SPDX-License-Identifier: Apache-2.0
// The users of deploy/redis/users.acl.in have the rights that the store needs, and
// the workers' user has no others: it cannot write, not even ring the bell.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store/durability.h"
#include "tests/support/follower.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

// The repository's root, from where this file was compiled.
static FILE *open_users(void)
{
    char path[1024];
    static const char here[] = "tests/unit/test_store_acl.c";
    size_t len = strlen(__FILE__);
    assert_true(len > sizeof(here) && len < sizeof(path) - 64);
    snprintf(path, sizeof(path), "%.*sdeploy/redis/users.acl.in", (int)(len - sizeof(here) + 1),
             __FILE__);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    return file;
}

// Each line but that of the default user, with the password "secret".
static void create_users(struct redis_fixture *server)
{
    FILE *file = open_users();
    char line[1024];
    size_t users = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *argv[64] = {"ACL", "SETUSER"};
        int argc = 2;
        char *rest = line, *word;
        if (strncmp(line, "user ", 5) != 0 || strncmp(line, "user default", 12) == 0)
            continue;
        rest += 5;
        // A selector is one word with blanks in it.
        while (*rest != '\0' && *rest != '\n') {
            word = rest;
            rest += *rest == '(' ? strcspn(rest, ")") + 1 : strcspn(rest, " \n");
            if (*rest != '\0')
                *rest++ = '\0';
            argv[argc++] = *word == '#' ? ">secret" : word;
        }
        redisReply *reply = redisCommandArgv(server->client, argc, argv, NULL);
        assert_non_null(reply);
        if (reply->type == REDIS_REPLY_ERROR)
            fail_msg("%s: %s", argv[2], reply->str);
        freeReplyObject(reply);
        users++;
    }
    fclose(file);
    assert_int_equal(users, 3);
}

static void url_of(char out[96], const struct store_fixture *f, const char *user)
{
    snprintf(out, 96, "redis://%s:secret@127.0.0.1:%u", user, f->server.port);
}

static void on_durable(void *ctx, const struct durability_answer *answer)
{
    assert_true(answer->known);
    *(bool *)ctx = true;
}

static void both_users_can_do_their_work(void **state)
{
    struct store_fixture *f = *state;
    static struct follower worker;
    static struct redis_owner listener;
    static const char *const channels[] = {"{cm}:0:ack", NULL};
    char url[96];
    create_users(&f->server);
    redis_owner_close(&f->owner);
    url_of(url, f, "cm-admin");
    redis_owner_init_patient(&f->owner, &f->loop, url);
    redis_owner_open(&f->owner);
    redis_owner_init_patient(&listener, &f->loop, url);
    listener.options.channels = channels;
    redis_owner_open(&listener);
    redis_owner_wait_up(&f->owner, 1);
    redis_owner_wait_up(&listener, 1);
    url_of(url, f, "cm-models");
    follower_open(&worker, &f->loop, url, 250);
    follower_wait_revision(&worker, 0, 2000);
    assert_true(loop_try_count(&f->loop, &listener.messages, 2, 2000));

    // All that a commit can do, with the trimming of the log.
    struct secret_digest key = {{1}};
    for (uint64_t i = 1; i <= 3; i++) {
        struct commit *c = store_fixture_plan(f);
        char id[16];
        snprintf(id, sizeof(id), "a/b%d", (int)i);
        commit_put_model(c, slice_of(id), SLICE_NONE, SLICE_LIT("1"));
        commit_put_key(c, &key, SLICE_LIT("{}"), true, 60);
        commit_put_document(c, SLICE_LIT("key_1"), SLICE_LIT("{}"));
        commit_revoke_document(c, SLICE_LIT("key_2"), SLICE_LIT("{}"), 1800000000);
        commit_add_ref(c, slice_of(id), SLICE_LIT("key_1"));
        commit_remove_ref(c, slice_of(id), SLICE_LIT("key_1"));
        commit_audit(c, SLICE_LIT("{}"));
        commit_idem(c, slice_of(id), SLICE_LIT("x"));
        enum commit_status status = store_fixture_commit_bounded(f, c, 1, 1);
        if (status != COMMIT_OK)
            fail_msg("status %d: %s", (int)status, f->outcome);
        follower_wait_revision(&worker, i, 1000);
    }
    struct durability *durability = durability_create(f->owner.redis, NULL);
    bool durable = false;
    durability_wait(durability, 100, on_durable, &durable);
    loop_run_until_set(&f->loop, &durable, 2000);
    follower_close(&worker);
    redis_owner_close(&listener);
    redis_owner_close(&f->owner);
    durability_destroy(durability);
    redisReply *denied = redis_fixture_command(&f->server, "ACL LOG");
    assert_int_equal(denied->elements, 0);
    freeReplyObject(denied);
}

static void a_worker_can_do_nothing_else(void **state)
{
    static const char *const forbidden[] = {
        "PUBLISH {cm}:0:bell x",
        "HSET {cm}:models a b",
        "SET {cm}:key:1 x",
        "DEL {cm}:head",
        "XADD {cm}:log * c x",
        "EVAL return(1) 0",
        "FLUSHALL",
        "KEYS *",
        "CONFIG GET *",
        "CLIENT KILL TYPE normal",
        "SUBSCRIBE {cm}:0:ack",
        "GET other",
        "SHUTDOWN",
        "PUBLISH other x",
        "ACL LIST",
    };
    struct store_fixture *f = *state;
    create_users(&f->server);
    redisContext *client = redisConnect("127.0.0.1", f->server.port);
    freeReplyObject(redisCommand(client, "AUTH cm-models secret"));
    for (size_t i = 0; i < CM_ARRAY_LEN(forbidden); i++) {
        redisReply *reply = redisCommand(client, forbidden[i]);
        assert_non_null(reply);
        if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOPERM", 6) != 0)
            fail_msg("allowed: %s", forbidden[i]);
        freeReplyObject(reply);
    }
    redisFree(client);
}

int main(void)
{
#define STORE_TEST(name_)                                                                          \
    cmocka_unit_test_setup_teardown(name_, store_fixture_setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(both_users_can_do_their_work),
        STORE_TEST(a_worker_can_do_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
