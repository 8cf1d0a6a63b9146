// SPDX-License-Identifier: Apache-2.0
// A log's answer that takes several turns: nothing of a revision is shown before all
// of it, keys are denied before the first slice, and what does not get to its end
// leaves no trace.
#include <stdio.h>

#include "tests/support/feed_world.h"

enum { SLICE = 12 }; // two operations of 6 bytes

static struct oplog_entry answer[3]; // must last until it is taken in

static void ask_for(uint64_t revision, const char *models)
{
    feed_limit_slice(w->feed, SLICE);
    feed_on_tick(w->feed);
    on_head(E1, revision, models);
    buf_clear(&w->said);
}

static void on_large_entry(uint64_t revision, const char *ops)
{
    answer[0] = entry(revision, ops);
    feed_on_log(w->feed, answer, 1, false);
}

static void turn_until(uint64_t revision)
{
    while (feed_position(w->feed).revision < revision) {
        assert_true(feed_wants_turn(w->feed));
        feed_on_turn(w->feed);
    }
}

static void a_large_entry_is_applied_aside(void **state)
{
    (void)state;
    ask_for(6, "a=2 b=2 c=2");
    on_large_entry(6, "M a 2\nM b 2\nM c 2\n");
    expect("");
    feed_on_turn(w->feed); // the models are copied
    expect("copy");
    feed_on_turn(w->feed); // the sums are copied
    expect("");
    feed_on_turn(w->feed);
    expect("stage:a=2 stage:b=2");
    assert_state(FEED_CATCHUP, FEED_REASON_NONE, 5);
    feed_on_turn(w->feed);
    expect("stage:c=2 commit [live 6]");
    assert_false(feed_wants_turn(w->feed));
    assert_state(FEED_LIVE, FEED_REASON_NONE, 6);
    assert_int_equal(feed_confirmed_at(w->feed), 2000);
    assert_int_equal(feed_position(w->feed).models, 3);
}

static void no_slice_shows_a_part(void **state)
{
    (void)state;
    ask_for(6, "a=3 c=3 d=3 e=3");
    on_large_entry(6, "M a 3\nX b\nM c 3\nM d 3\nM e 3\n");
    for (; feed_wants_turn(w->feed); feed_on_turn(w->feed)) {
        assert_state(FEED_CATCHUP, FEED_REASON_NONE, 5);
        assert_int_equal(feed_position(w->feed).models, 2);
        assert_null(strstr(buf_cstr(&w->said), "commit"));
        assert_null(strstr(buf_cstr(&w->said), "["));
    }
    expect("copy stage:a=3 stage:-b stage:c=3 stage:d=3 stage:e=3 commit [live 6]");
}

static void denials_do_not_wait_for_the_models(void **state)
{
    (void)state;
    ask_for(7, "a=2 b=2 c=2");
    answer[0] = entry(6, "M a 2\nM b 2\nM c 2\nK " KEY2 "\n");
    answer[1] = entry(7, "D " KEY1 "\n");
    answer[2] = entry(9, "D " KEY2 "\n"); // does not follow: nothing of it counts
    feed_on_log(w->feed, answer, 3, false);
    expect("dirty2@6 deny1@7");
    feed_on_turn(w->feed);
    expect("copy");
    on_bell(E1, 8, 2, true); // in the middle
    expect("deny2@8");
    turn_until(7);
    assert_state(FEED_LIVE, FEED_REASON_NONE, 7);
    while (feed_wants_turn(w->feed))
        feed_on_turn(w->feed);
    buf_clear(&w->said);
    on_head(E1, 7, "a=2 b=2 c=2"); // that the bell asked for
    expect("");
}

static void a_garbled_entry_names_no_keys(void **state)
{
    (void)state;
    ask_for(6, "a=2 b=1");
    on_large_entry(6, "D " KEY1 "\nM a 2\nM");
    expect("");
    feed_on_turn(w->feed);
    expect("begin scan [catchup 5]");
    assert_false(feed_wants_turn(w->feed));
}

static void a_lost_link_drops_what_is_half_done(void **state)
{
    (void)state;
    static const char ops[] = "M a 2\nX b\nM c 2\nM d 2\nM e 2\n";
    for (int turns = 0; turns < 3; turns++) {
        ask_for(6, "a=2 c=2 d=2 e=2");
        on_large_entry(6, ops);
        for (int i = 0; i < turns; i++)
            feed_on_turn(w->feed);
        assert_true(feed_wants_turn(w->feed));
        buf_clear(&w->said);
        feed_on_link(w->feed, false);
        expect(turns > 0 ? "drop [away 5]" : "[away 5]");
        assert_false(feed_wants_turn(w->feed));
        assert_int_equal(feed_position(w->feed).models, 2);
        feed_on_link(w->feed, true);
        on_head(E1, 5, "a=1 b=1"); // what we have is what we had
        expect("head [live 5]");
    }
    ask_for(6, "a=2 c=2 d=2 e=2");
    on_large_entry(6, ops);
    turn_until(6);
    assert_state(FEED_LIVE, FEED_REASON_NONE, 6);
}

static void each_revision_of_an_answer_is_whole(void **state)
{
    (void)state;
    ask_for(8, "a=3 b=3 c=2 d=1");
    answer[0] = entry(6, "M d 1\n");
    answer[1] = entry(7, "M a 2\nM b 2\nM c 2\n");
    answer[2] = entry(8, "M a 3\nM b 3\n");
    feed_on_log(w->feed, answer, 3, false);
    turn_until(6);
    expect("d=1 publish [catchup 6]");
    turn_until(7);
    expect("copy stage:a=2 stage:b=2 stage:c=2 commit [catchup 7]");
    turn_until(8);
    expect("a=3 b=3 publish [live 8]");
    assert_false(feed_wants_turn(w->feed));
}

static void a_wrong_sum_reloads_as_ever(void **state)
{
    (void)state;
    ask_for(6, "a=9 b=2 c=2");
    on_large_entry(6, "M a 2\nM b 2\nM c 2\n");
    turn_until(6);
    expect("copy stage:a=2 stage:b=2 stage:c=2 commit begin scan [catchup 6]");
    assert_int_equal(feed_counters(w->feed)->digest_mismatches, 1);
}

static void a_reload_takes_its_log_in_slices_too(void **state)
{
    (void)state;
    feed_limit_slice(w->feed, SLICE);
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 8, "a=1");
    on_models("a=1", true);
    on_child_head(E2, E1, 9, "a=2 b=2 c=2");
    buf_clear(&w->said);
    on_large_entry(9, "M a 2\nM b 2\nM c 2\n");
    feed_on_turn(w->feed);
    feed_on_turn(w->feed);
    expect("stage:a=2 stage:b=2 stage:c=2 unverified commit [live 9]");
    assert_int_equal(feed_position(w->feed).models, 3);
}

// --- parts

static void on_parts(size_t count)
{
    feed_on_log(w->feed, answer, count, false);
    while (feed_wants_turn(w->feed))
        feed_on_turn(w->feed);
}

static void a_revision_in_parts_is_read_to_its_end(void **state)
{
    (void)state;
    ask_for(6, "a=2 c=2");
    answer[0] = part_of(6, 0, true, "M a 2\n");
    on_parts(1);
    expect("copy stage:a=2 log>5+1");
    assert_state(FEED_CATCHUP, FEED_REASON_NONE, 5);
    answer[0] = part_of(6, 1, true, "X b\n");
    answer[1] = part_of(6, 2, false, "M c 2\n");
    on_parts(2);
    expect("stage:-b stage:c=2 commit [live 6]");
}

static void what_follows_the_last_part_is_taken_too(void **state)
{
    (void)state;
    ask_for(7, "a=3 b=1");
    answer[0] = part_of(6, 0, true, "M a 2\n");
    answer[1] = part_of(6, 1, false, "M a 3\n");
    answer[2] = entry(7, "");
    on_parts(3);
    expect("copy stage:a=2 stage:a=3 commit publish [live 7]");
}

static void keys_of_each_part_are_told_as_it_comes(void **state)
{
    (void)state;
    ask_for(6, "a=1 b=1");
    answer[0] = part_of(6, 0, true, "K " KEY2 "\n");
    answer[1] = part_of(6, 1, true, "D " KEY1 "\n");
    feed_on_log(w->feed, answer, 2, false);
    expect("dirty2@6 deny1@6");
    assert_int_equal(feed_told_revision(w->feed), 6);
    while (feed_wants_turn(w->feed))
        feed_on_turn(w->feed);
    assert_int_equal(feed_position(w->feed).revision, 5);
    assert_int_equal(feed_told_revision(w->feed), 6);
    buf_clear(&w->said);
    answer[0] = part_of(6, 2, false, "D " KEY2 "\n");
    feed_on_log(w->feed, answer, 1, false);
    expect("deny2@6");
    assert_int_equal(feed_told_revision(w->feed), 6);
    feed_on_link(w->feed, false);
    assert_int_equal(feed_told_revision(w->feed), 5); // what was on its way is void
}

// What comes after part 0 of revision 6 is not the rest of it: all of it is void.
static void a_rest_that_does_not_fit_makes_all_void(void **state)
{
    struct oplog_entry odd[] = {part_of(6, 2, false, "X b\n"), part_of(6, 0, true, "X b\n"),
                                part_of(6, 1, false, "X b\n"), part_of(6, 1, false, "X b\n"),
                                part_of(6, 1, false, "X b"),   entry(7, "")};
    odd[2].change++;
    odd[3].previous++;
    for (size_t i = 0; i <= CM_ARRAY_LEN(odd); i++) { // the last: there is no rest
        for (size_t answers = 1; answers <= 2; answers++) {
            feed_world_stop(state);
            feed_world_start_live(state);
            ask_for(6, "a=2");
            answer[0] = part_of(6, 0, true, "M a 2\n");
            if (answers == 2)
                on_parts(1);
            if (i < CM_ARRAY_LEN(odd))
                answer[2 - answers] = odd[i];
            on_parts(i < CM_ARRAY_LEN(odd) ? 3 - answers : answers == 2 ? 0 : 1);
            if (i == CM_ARRAY_LEN(odd) && answers == 1)
                on_parts(0);
            const char *said = buf_cstr(&w->said);
            assert_non_null(strstr(said, "copy stage:a=2"));
            assert_non_null(strstr(said, i == 3 ? "drop [suspect:diverged 5]" : "drop begin scan"));
            assert_null(strstr(said, "commit"));
            assert_int_equal(feed_position(w->feed).models, 2);
        }
    }
}

static void a_rest_without_a_beginning_is_a_gap(void **state)
{
    (void)state;
    ask_for(6, "a=2");
    answer[0] = part_of(6, 1, false, "X b\n");
    on_parts(1);
    expect("begin scan [catchup 5]");
    assert_int_equal(feed_counters(w->feed)->gaps, 1);
}

static void parts_beyond_the_head_wait_for_it(void **state)
{
    (void)state;
    ask_for(6, "a=2 b=1");
    answer[0] = entry(6, "M a 2\n");
    answer[1] = part_of(7, 0, true, "M a 3\n");
    on_parts(2);
    expect("a=2 publish [live 6] head");
    assert_false(feed_wants_turn(w->feed));
    on_head(E1, 7, "a=3 b=1");
    expect("log>6");
}

static void a_lost_link_drops_the_parts(void **state)
{
    (void)state;
    ask_for(6, "a=2");
    answer[0] = part_of(6, 0, true, "M a 2\n");
    on_parts(1);
    buf_clear(&w->said);
    feed_on_link(w->feed, false);
    expect("drop [away 5]");
    feed_on_link(w->feed, true);
    on_head(E1, 6, "a=2");
    expect("head log>5"); // from the first part again
}

static void a_reload_takes_parts_too(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 8, "a=1");
    on_models("a=1", true);
    on_child_head(E2, E1, 9, "a=2 b=2");
    buf_clear(&w->said);
    answer[0] = part_of(9, 0, true, "M a 2\n");
    on_parts(1);
    expect("stage:a=2 log>8+1");
    answer[0] = part_of(9, 1, false, "M b 2\n");
    on_parts(1);
    expect("stage:b=2 unverified commit [live 9]");
}

// However it is cut, the same comes out.
static void slices_of_any_size_end_alike(void **state)
{
    (void)state;
    static const char ops[] = "M a 2\nX b\nM c 2\nM d 2\nX a\nM e 2\nM c 3\n";
    struct digest want = head_of(E1, 6, "c=3 d=2 e=2").digest;
    for (size_t slice = 1; slice < sizeof(ops) + 2; slice++) {
        feed_world_stop(state);
        feed_world_start_live(state);
        feed_limit_slice(w->feed, slice);
        feed_on_tick(w->feed);
        on_head(E1, 6, "c=3 d=2 e=2");
        on_large_entry(6, ops);
        while (feed_wants_turn(w->feed))
            feed_on_turn(w->feed);
        assert_state(FEED_LIVE, FEED_REASON_NONE, 6);
        assert_true(digest_equal(feed_position(w->feed).digest, want));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_CASE(a_large_entry_is_applied_aside),
        LIVE_CASE(no_slice_shows_a_part),
        LIVE_CASE(denials_do_not_wait_for_the_models),
        LIVE_CASE(a_garbled_entry_names_no_keys),
        LIVE_CASE(a_lost_link_drops_what_is_half_done),
        LIVE_CASE(each_revision_of_an_answer_is_whole),
        LIVE_CASE(a_wrong_sum_reloads_as_ever),
        LIVE_CASE(a_reload_takes_its_log_in_slices_too),
        LIVE_CASE(a_revision_in_parts_is_read_to_its_end),
        LIVE_CASE(what_follows_the_last_part_is_taken_too),
        LIVE_CASE(keys_of_each_part_are_told_as_it_comes),
        LIVE_CASE(a_rest_that_does_not_fit_makes_all_void),
        LIVE_CASE(a_rest_without_a_beginning_is_a_gap),
        LIVE_CASE(parts_beyond_the_head_wait_for_it),
        LIVE_CASE(a_lost_link_drops_the_parts),
        LIVE_CASE(a_reload_takes_parts_too),
        LIVE_CASE(slices_of_any_size_end_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
