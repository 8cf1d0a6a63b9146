// SPDX-License-Identifier: Apache-2.0
// Loading and following: one case a rule. (test_feed_suspect.c has the bells, the
// links and the stores that are no continuation.)
#include <stdio.h>

#include "tests/support/feed_world.h"

static void loads_in_one_scan_when_nothing_moves(void **state)
{
    (void)state;
    assert_state(FEED_EMPTY, FEED_REASON_NONE, 0);
    feed_on_link(w->feed, true);
    expect("head");
    on_head(E1, 5, "a=1 b=2 c=3");
    expect("begin scan");
    on_models("a=1 b=2", false);
    expect("stage:a=1 stage:b=2 more");
    on_models("b=2 c=3", true); // a page may repeat a record
    expect("stage:b=2 stage:c=3 head");
    w->now = 1234;
    on_head(E1, 5, "a=1 b=2 c=3");
    expect("unverified commit [live 5]");
    assert_int_equal(feed_confirmed_at(w->feed), 1234);
    assert_int_equal(feed_position(w->feed).models, 3);
    assert_int_equal(feed_position(w->feed).epoch, E1);
}

static void loads_revision_0(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    load(E1, 0, "");
    expect("head begin scan head unverified commit [live 0]");
    feed_on_tick(w->feed);
    on_head(E1, 1, "a=1");
    on_entry(1, "M a 1\n");
    expect("head log>0 a=1 publish [live 1]");
}

static void scan_is_brought_to_the_second_head_by_the_log(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_head(E1, 5, "a=1 b=1");
    // Revision 6 wrote a, 7 removed b: the scan has seen one and not the other.
    on_models("a=2 b=1", true);
    w->now = 1500;
    on_head(E1, 7, "a=2");
    expect("head begin scan stage:a=2 stage:b=1 head log>5");
    // The log may be ahead of that head: 8 goes into what is live by then.
    struct oplog_entry entries[] = {entry(6, "M a 2\nK " KEY1 "\n"), entry(7, "X b\nD " KEY2 "\n"),
                                    entry(8, "M c 1\n")};
    feed_on_log(w->feed, entries, 3, false);
    expect("stage:a=2 stage:-b unverified commit c=1 publish [live 8]");
    assert_int_equal(feed_confirmed_at(w->feed), 1500);
    assert_int_equal(feed_position(w->feed).models, 2);
}

static void staged_log_tells_of_keys_at_once(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 8, "a=1");
    on_models("a=1", true);
    on_child_head(E2, E1, 10, "a=1");
    buf_clear(&w->said);
    on_entry(9, "D " KEY1 "\nK " KEY2 "\n");
    expect("deny1@9 dirty2@9 log>9");
    feed_on_link(w->feed, false); // the denial stays, though the reload comes to nothing
    expect("drop [away 5]");
}

static void staged_log_comes_in_parts(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_head(E1, 5, "a=1");
    on_models("a=3", true);
    on_head(E1, 7, "a=3");
    on_entry(6, "M a 2\n");
    expect("head begin scan stage:a=3 head log>5 stage:a=2 log>6");
    on_entry(7, "M a 3\n");
    expect("stage:a=3 unverified commit [live 7]");
}

static void trimmed_while_loading_tries_at_the_next_tick(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_head(E1, 5, "a=1");
    on_models("a=3", true);
    on_head(E1, 7, "a=3");
    on_entry(7, "M a 3\n");
    expect("head begin scan stage:a=3 head log>5 drop");
    assert_state(FEED_EMPTY, FEED_REASON_NONE, 0);
    feed_on_tick(w->feed);
    expect("head");
    load(E1, 7, "a=3");
    expect("begin scan stage:a=3 head unverified commit [live 7]");
    assert_int_equal(feed_counters(w->feed)->reloads, 2);
    assert_int_equal(feed_counters(w->feed)->reload_aborts, 1);
}

static void staged_log_must_chain(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_head(E1, 5, "a=1");
    on_models("a=2", true);
    on_head(E1, 6, "a=2");
    struct oplog_entry forked = entry(6, "M a 2\n");
    forked.previous++;
    feed_on_log(w->feed, &forked, 1, false);
    expect("head begin scan stage:a=2 head log>5 drop");
}

static void second_head_must_go_on_from_the_first(void **state)
{
    (void)state;
    for (int odd = 0; odd < 3; odd++) {
        feed_on_link(w->feed, true);
        on_head(E1, 5, "a=1");
        on_models("a=1", true);
        if (odd == 0)
            on_head(E1, 4, "a=1");
        else if (odd == 1)
            on_diverged_head(E1, 5, "a=1");
        else
            on_head(E2, 6, "a=1");
        // It is judged at once: it is loaded instead.
        expect("head begin scan stage:a=1 head drop begin scan");
        feed_on_link(w->feed, false);
        expect("drop");
    }
    feed_on_link(w->feed, true);
    on_head(E1, 5, "a=1");
    on_models("a=1", true);
    on_no_head(HEAD_ABSENT);
    expect("head begin scan stage:a=1 head drop [empty:empty 0]");
    assert_int_equal(feed_counters(w->feed)->falls, 0);
}

static void nothing_to_load_has_a_reason(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_no_head(HEAD_ABSENT);
    expect("head [empty:empty 0]");
    feed_on_tick(w->feed);
    on_no_head(HEAD_NEWER);
    expect("head [empty:newer_format 0]");
    feed_on_tick(w->feed);
    on_no_head(HEAD_GARBLED);
    expect("head [empty:foreign 0]");
    feed_on_link(w->feed, false);
    expect("[empty 0]");
    assert_int_equal(feed_counters(w->feed)->suspects, 0);
}

static void corrupt_store_is_not_loaded_nor_scanned_at_every_poll(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_head(E1, 5, "a=1 b=1");
    on_models("a=1 b=2", true);
    on_head(E1, 5, "a=1 b=1");
    expect("head begin scan stage:a=1 stage:b=2 head drop [empty:corrupt 0]");
    w->now += WAIT_MS - 1;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=1 b=1");
    expect("head");
    w->now += 1;
    feed_on_tick(w->feed);
    load(E1, 6, "a=1 b=1");
    expect("head begin scan [empty 0] stage:a=1 stage:b=1 head unverified commit [live 6]");
}

static void corrupt_store_is_tried_at_once_after_a_reconnect(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    load(E1, 5, "a=1");
    feed_on_link(w->feed, false);
    feed_on_link(w->feed, true);
    buf_clear(&w->said);
    on_head(E1, 5, "a=2");
    on_models("a=1", true);
    on_head(E1, 5, "a=2");
    feed_on_link(w->feed, false);
    feed_on_link(w->feed, true);
    buf_clear(&w->said);
    on_head(E1, 5, "a=2");
    expect("begin scan [catchup 5]");
}

static void count_is_compared_too(void **state)
{
    (void)state;
    struct head h = head_of(E1, 5, "a=1");
    h.models = 2;
    feed_on_link(w->feed, true);
    feed_on_head(w->feed, HEAD_OK, &h, w->now, true);
    on_models("a=1", true);
    feed_on_head(w->feed, HEAD_OK, &h, w->now, true);
    assert_state(FEED_EMPTY, FEED_REASON_CORRUPT, 0);
}

static void tick_confirms(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    feed_on_tick(w->feed); // one read at a time
    expect("head");
    on_head(E1, 5, "a=1 b=1");
    expect("");
    assert_int_equal(feed_confirmed_at(w->feed), 2000);
}

static void one_change_is_one_report(void **state)
{
    (void)state;
    on_bell(E1, 6, 0, false);
    expect("head");
    on_head(E1, 6, "a=2 b=1");
    expect("log>5");
    assert_state(FEED_CATCHUP, FEED_REASON_NONE, 5);
    assert_int_equal(feed_confirmed_at(w->feed), 1000);
    on_entry(6, "M a 2\n");
    expect("a=2 publish [live 6]");
    assert_int_equal(feed_confirmed_at(w->feed), 2000);
}

static void log_comes_in_parts(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 7, "b=1");
    on_entry(6, "M a 2\nD " KEY1 "\nK " KEY2 "\n");
    expect("head log>5 a=2 deny1@6 dirty2@6 publish log>6 [catchup 6]");
    on_entry(7, "X a\nX nobody\n");
    expect("-a -nobody publish [live 7]");
}

static void log_beyond_the_head_is_taken(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=2 b=1");
    struct oplog_entry entries[] = {entry(6, "M a 2\n"), entry(7, "M a 3\n")};
    feed_on_log(w->feed, entries, 2, false);
    expect("head log>5 a=2 a=3 publish [live 7]");
}

static void odd_entry_beyond_the_head_asks_for_a_newer_head(void **state)
{
    (void)state;
    for (int odd = 0; odd < 4; odd++) {
        uint64_t at = feed_position(w->feed).revision;
        struct oplog_entry entries[] = {entry(at + 1, ""), entry(at + 2, "")};
        if (odd == 0)
            entries[1].revision++;
        else if (odd == 1)
            entries[1].previous++;
        else if (odd == 2)
            entries[1].ops = SLICE_LIT("?");
        feed_on_tick(w->feed);
        on_head(E1, at + 1, "a=1 b=1");
        buf_clear(&w->said);
        feed_on_log(w->feed, entries, odd == 3 ? 1 : 2, odd == 3);
        char words[64];
        snprintf(words, sizeof(words), "publish [live %d] head", (int)at + 1);
        expect(words);
        on_head(E1, at + 1, "a=1 b=1");
        expect("");
    }
}

static void trimmed_log_reloads_at_once(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 7, "a=3 b=1");
    on_entry(7, "M a 3\n");
    expect("head log>5 begin scan [catchup 5]");
    on_models("a=3 b=1", true);
    on_head(E1, 7, "a=3 b=1");
    expect("stage:a=3 stage:b=1 head unverified commit [live 7]");
    assert_int_equal(feed_counters(w->feed)->gaps, 1);
    assert_int_equal(feed_counters(w->feed)->falls, 0);
}

static void empty_log_behind_the_head_is_trimmed(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 7, "a=3 b=1");
    feed_on_log(w->feed, NULL, 0, false);
    expect("head log>5 begin scan [catchup 5]");
    assert_int_equal(feed_counters(w->feed)->gaps, 1);
}

static void garbled_entry_applies_nothing_of_itself(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 7, "a=3 b=1");
    struct oplog_entry entries[] = {entry(6, "M a 2\n"), entry(7, "M a 3\nbad")};
    feed_on_log(w->feed, entries, 2, false);
    expect("head log>5 a=2 publish begin scan [catchup 6]");
    on_models("a=3 b=1", true);
    on_head(E1, 7, "a=3 b=1");
    feed_on_tick(w->feed);
    on_head(E1, 8, "a=3 b=1");
    buf_clear(&w->said);
    feed_on_log(w->feed, NULL, 0, true);
    expect("begin scan [catchup 7]");
    assert_int_equal(feed_counters(w->feed)->gaps, 0);
}

static void entry_below_what_was_asked_for_is_garbled(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=1 b=1");
    on_entry(5, "X a\n");
    expect("head log>5 begin scan [catchup 5]");
}

static void wrong_sum_after_the_log_reloads(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=9 b=1");
    struct oplog_entry entries[] = {entry(6, "M a 2\n"), entry(7, "")};
    feed_on_log(w->feed, entries, 2, false); // 7 is not applied to what is wrong
    expect("head log>5 a=2 publish begin scan [catchup 6]");
    on_models("a=9 b=1", true);
    on_head(E1, 6, "a=9 b=1");
    expect("stage:a=9 stage:b=1 head unverified commit [live 6]");
    assert_int_equal(feed_counters(w->feed)->digest_mismatches, 1);
}

static void wrong_sum_at_rest_reloads_and_corrupt_is_held(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 5, "a=9 b=1");
    expect("head begin scan [catchup 5]");
    on_models("a=1 b=1", true);
    on_head(E1, 5, "a=9 b=1");
    expect("stage:a=1 stage:b=1 head drop [suspect:corrupt 5]");
    feed_on_tick(w->feed);
    on_head(E1, 5, "a=9 b=1");
    expect("head");
    // The chain is still followed: denials come through.
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=9 b=1");
    on_entry(6, "D " KEY1 "\n");
    expect("head log>5 deny1@6 publish [suspect:corrupt 6]");
    // A new epoch that continues ours is loaded without waiting.
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 7, "a=1 b=1");
    expect("head begin scan [catchup 6]");
}

static void other_change_at_the_target_reads_the_head_again(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_diverged_head(E1, 6, "a=2 b=1");
    on_entry(6, "M a 2\n");
    expect("head log>5 a=2 publish [catchup 6] head");
    assert_int_equal(feed_confirmed_at(w->feed), 1000);
    on_head(E1, 6, "a=2 b=1");
    expect("[live 6]");
}

static void passed_is_what_was_live(void **state)
{
    (void)state;
    struct feed_position at = feed_position(w->feed);
    assert_true(feed_has_passed(w->feed, E1, 5, at.change));
    assert_false(feed_has_passed(w->feed, E1, 5, at.change + 1));
    assert_false(feed_has_passed(w->feed, E2, 5, at.change));
    assert_false(feed_has_passed(w->feed, E1, 4, at.change - 1)); // before the first load
    assert_false(feed_has_passed(w->feed, E1, 6, at.change + 1)); // not yet
    assert_false(feed_has_passed(w->feed, E1, 0, 0));
    for (uint64_t revision = 6; revision < 6 + FEED_PATH_MAX; revision++) {
        assert_true(feed_has_passed(w->feed, E1, 5, at.change));
        feed_on_tick(w->feed);
        on_head(E1, revision, "a=1 b=1");
        on_entry(revision, "");
    }
    assert_false(feed_has_passed(w->feed, E1, 5, at.change)); // too long ago
    assert_true(feed_has_passed(w->feed, E1, 6, at.change + 1));
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 200, "a=1"); // a reload passes nothing on its way
    on_models("a=1", true);
    on_child_head(E2, E1, 201, "a=1");
    on_entry(201, "");
    assert_false(feed_has_passed(w->feed, E2, 100, at.change + 95));
    assert_false(feed_has_passed(w->feed, E2, 200, at.change + 195));
    assert_true(feed_has_passed(w->feed, E2, 201, at.change + 196));
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(feed_state_name(FEED_EMPTY), "empty");
    assert_string_equal(feed_state_name(FEED_AWAY), "away");
    assert_string_equal(feed_state_name(FEED_CATCHUP), "catchup");
    assert_string_equal(feed_state_name(FEED_LIVE), "live");
    assert_string_equal(feed_state_name(FEED_SUSPECT), "suspect");
    assert_string_equal(feed_reason_name(FEED_REASON_NONE), "");
    assert_string_equal(feed_reason_name(FEED_REASON_CORRUPT), "corrupt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EMPTY_CASE(loads_in_one_scan_when_nothing_moves),
        EMPTY_CASE(loads_revision_0),
        EMPTY_CASE(scan_is_brought_to_the_second_head_by_the_log),
        LIVE_CASE(staged_log_tells_of_keys_at_once),
        EMPTY_CASE(staged_log_comes_in_parts),
        EMPTY_CASE(trimmed_while_loading_tries_at_the_next_tick),
        EMPTY_CASE(staged_log_must_chain),
        EMPTY_CASE(second_head_must_go_on_from_the_first),
        EMPTY_CASE(nothing_to_load_has_a_reason),
        EMPTY_CASE(corrupt_store_is_not_loaded_nor_scanned_at_every_poll),
        EMPTY_CASE(corrupt_store_is_tried_at_once_after_a_reconnect),
        EMPTY_CASE(count_is_compared_too),
        LIVE_CASE(tick_confirms),
        LIVE_CASE(one_change_is_one_report),
        LIVE_CASE(log_comes_in_parts),
        LIVE_CASE(log_beyond_the_head_is_taken),
        LIVE_CASE(odd_entry_beyond_the_head_asks_for_a_newer_head),
        LIVE_CASE(trimmed_log_reloads_at_once),
        LIVE_CASE(empty_log_behind_the_head_is_trimmed),
        LIVE_CASE(garbled_entry_applies_nothing_of_itself),
        LIVE_CASE(entry_below_what_was_asked_for_is_garbled),
        LIVE_CASE(wrong_sum_after_the_log_reloads),
        LIVE_CASE(wrong_sum_at_rest_reloads_and_corrupt_is_held),
        LIVE_CASE(other_change_at_the_target_reads_the_head_again),
        LIVE_CASE(passed_is_what_was_live),
        EMPTY_CASE(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
