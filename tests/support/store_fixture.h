// SPDX-License-Identifier: Apache-2.0
// A real Redis with a connection that is up, and a history to commit to.
#pragma once

#include "common/store/commit.h"
#include "common/store/keyspace.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/redis_owner.h"

struct store_fixture {
    uv_loop_t loop;
    struct redis_fixture server;
    struct keyspace keyspace; // prefix "cm", database 0
    struct redis_owner owner;
    char outcome[256]; // of the last commit
};

// cmocka setup and teardown; *state is the fixture. The history is at revision 0.
int store_fixture_setup(void **state);
int store_fixture_teardown(void **state);
// For tests that keep it in a struct of their own. options: see redis_fixture_start.
void store_fixture_init(struct store_fixture *f, const char *const *options);
void store_fixture_fini(struct store_fixture *f);

enum commit_status store_fixture_init_history(struct store_fixture *f);
// The head as it is in Redis now; the test fails unless it is a good one.
struct head store_fixture_head(struct store_fixture *f);
// A commit on the head as it is now.
struct commit *store_fixture_plan(struct store_fixture *f);
// Sends it, waits for what came of it and destroys it.
enum commit_status store_fixture_commit(struct store_fixture *f, struct commit *c);
// The same with bounds on the log.
enum commit_status store_fixture_commit_bounded(struct store_fixture *f, struct commit *c,
                                                uint64_t log_keep, uint64_t log_keep_bytes);
// One model put in one revision; the record must be new.
void store_fixture_put_model(struct store_fixture *f, const char *id, const char *record);
// A digest of all that is in Redis: equal means that nothing at all has changed.
const char *store_fixture_contents(struct store_fixture *f);
