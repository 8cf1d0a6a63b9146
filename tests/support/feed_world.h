// SPDX-License-Identifier: Apache-2.0
// A feed, what comes in to it in few words, and the actions that go out as words:
// "head", "log>5", "log>5+2" (from part 2 of revision 6), "scan", "a=1", "stage:a=1", "-a",
// "deny1@6", "[live 6]" ... One world at a time; the cases are its setup and teardown.
#pragma once

#include <stdbool.h>
#include <string.h>

#include "common/model/feed.h"
#include "tests/support/test.h"

enum { E1 = 0xe1, E2 = 0xe2, E3 = 0xe3, WAIT_MS = 3000 };

#define KEY1 "0101010101010101010101010101010101010101010101010101010101010101"
#define KEY2 "0202020202020202020202020202020202020202020202020202020202020202"

struct feed_world {
    struct feed *feed;
    struct buf said;
    uint64_t now; // send time of the read whose answer comes next
};

extern struct feed_world *w;

// EMPTY_CASE starts with nothing, LIVE_CASE live at E1, revision 5, "a=1 b=1".
int feed_world_start_empty(void **state);
int feed_world_start_live(void **state);
int feed_world_stop(void **state);
#define EMPTY_CASE(function_)                                                                      \
    cmocka_unit_test_setup_teardown(function_, feed_world_start_empty, feed_world_stop)
#define LIVE_CASE(function_)                                                                       \
    cmocka_unit_test_setup_teardown(function_, feed_world_start_live, feed_world_stop)

// What went out since the last call, word by word.
#define expect(words_)                                                                             \
    do {                                                                                           \
        const char *said_ = buf_cstr(&w->said);                                                    \
        if (strcmp(said_ + (*said_ == ' '), (words_)) != 0)                                        \
            fail_msg("said '%s', want '%s'", said_ + (*said_ == ' '), (words_));                   \
        buf_clear(&w->said);                                                                       \
    } while (0)
#define assert_state(state_, reason_, revision_)                                                   \
    do {                                                                                           \
        assert_string_equal(feed_state_name(feed_state(w->feed)), feed_state_name(state_));        \
        assert_string_equal(feed_reason_name(feed_reason(w->feed)), feed_reason_name(reason_));    \
        assert_int_equal(feed_position(w->feed).revision, (revision_));                            \
    } while (0)

// models: ids and records, "a=1 b=2". The change of revision r is the same in
// every epoch; a diverged head carries another.
struct head head_of(uint64_t epoch, uint64_t revision, const char *models);
void on_head(uint64_t epoch, uint64_t revision, const char *models);
void on_child_head(uint64_t epoch, uint64_t parent, uint64_t revision, const char *models);
void on_diverged_head(uint64_t epoch, uint64_t revision, const char *models);
void on_no_head(enum head_status status);
void on_unconfirmed_head(uint64_t epoch, uint64_t revision, const char *models);
// An earlier process had those models at E1 and that revision. Is it believed?
bool restore(uint64_t revision, const char *records, const char *models, uint64_t confirmed_ms);
// An entry that continues revision - 1.
struct oplog_entry entry(uint64_t revision, const char *ops);
struct oplog_entry part_of(uint64_t revision, uint32_t part, bool more, const char *ops);
void on_entry(uint64_t revision, const char *ops);
void on_models(const char *models, bool done);
void on_bell(uint64_t epoch, uint64_t revision, unsigned char key, bool deny); // key 0: names none
// Head, one scan, head.
void load(uint64_t epoch, uint64_t revision, const char *models);
