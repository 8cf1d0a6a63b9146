// SPDX-License-Identifier: Apache-2.0
// A worker without HTTP: it follows a store through feed_io, keeps the catalog as
// plain lists, and checks at each report that it has what the position says.
#pragma once

#include "common/store/feed_io.h"
#include "common/store/words.h"

enum { FOLLOWER_MODELS_MAX = 20000 };

struct follower_catalog {
    char **ids, **records;
    size_t count;
};

struct follower {
    uv_loop_t *loop;
    struct redis_url url;
    struct keyspace keyspace;
    struct feed_io *io;
    struct follower_catalog shown, staged;
    bool is_staging, dirty;        // dirty: put or removed but not published yet
    size_t drafts, drafts_dropped; // of copies of what is shown
    bool is_drafting;
    size_t publishes, changes, downs, denied, marked, unverified;
    bool closed, bye_was_heard;
    bool notes_hang; // what it answers to is_noted, inverted
    uint64_t confirmed_revision, wait_revision;
    enum feed_state wait_state;
};

// poll_ms as CM_POLL_MS. The prefix is "cm", the database that of the URL.
void follower_open(struct follower *w, uv_loop_t *loop, const char *url, uint32_t poll_ms);
// Waits for on_closed and frees.
void follower_close(struct follower *w);

enum feed_state follower_state(const struct follower *w);
uint64_t follower_revision(const struct follower *w);
// The test fails unless it gets there in time.
void follower_wait_revision(struct follower *w, uint64_t revision, unsigned ms);
void follower_wait_state(struct follower *w, enum feed_state state, unsigned ms);
// NULL when it does not show that model.
const char *follower_record(const struct follower *w, const char *id);
