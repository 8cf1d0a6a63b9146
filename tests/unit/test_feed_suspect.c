// SPDX-License-Identifier: Apache-2.0
// Bells, links, and stores that are no continuation of ours: one case a rule.
#include "tests/support/feed_world.h"

static void bell_during_a_read_reads_again(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_bell(E1, 6, 0, false);
    on_bell(E1, 7, 0, false);
    expect("head");
    on_head(E1, 5, "a=1 b=1"); // the answer was older than the bell
    expect("head");
    on_head(E1, 6, "a=1 b=1");
    expect("log>5");
    on_bell(E1, 7, 0, false);
    on_entry(6, "");
    expect("publish [live 6] head");
    on_head(E1, 7, "a=1 b=1");
    expect("log>6");
}

static void bell_of_where_we_stand_is_no_news(void **state)
{
    (void)state;
    on_bell(E1, 5, 1, true);
    expect("");
    on_bell(E1, 4, 1, true); // late: its keys have come by the log
    expect("head");
    assert_int_equal(feed_counters(w->feed)->bells, 2);
}

static void bell_names_keys_only_of_our_future(void **state)
{
    (void)state;
    on_bell(E1, 6, 1, true);
    expect("deny1@6 head");
    on_bell(E1, 7, 2, false);
    expect("dirty2@7");
    on_bell(E2, 8, 1, true);
    on_bell(E1, 3, 1, true);
    expect("");
    feed_on_link(w->feed, false);
    expect("[away 5]");
    on_bell(E1, 9, 1, true); // stricter without Redis, but no read
    expect("deny1@9");
}

static void bell_of_the_history_that_is_being_loaded(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 8, "a=1");
    expect("head begin scan [catchup 5]");
    on_bell(E2, 9, 1, true);
    on_bell(E2, 8, 2, true);
    on_bell(E3, 9, 2, true);
    expect("deny1@9");
}

static void bell_without_a_catalog_only_makes_it_read(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_head(E1, 5, "a=1");
    expect("head begin scan");
    on_bell(E1, 6, 1, true); // it may yet be another history that is loaded
    expect("");
    on_models("a=1", true);
    on_head(E1, 6, "a=1");
    expect("stage:a=1 head log>5");
    on_bell(E1, 7, 0, false);
    on_entry(6, "D " KEY1 "\n");
    expect("unverified commit [live 6] head");
}

static void confirm_reads_now_or_after_the_read_under_way(void **state)
{
    (void)state;
    feed_confirm(w->feed);
    expect("head");
    feed_confirm(w->feed);
    expect("");
    on_head(E1, 5, "a=1 b=1");
    expect("head");
    on_head(E1, 5, "a=1 b=1");
    expect("");
    feed_on_link(w->feed, false);
    expect("[away 5]");
    feed_confirm(w->feed);
    expect("");
}

static void holds_what_is_no_continuation(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_no_head(HEAD_ABSENT);
    expect("head [suspect:empty 5]");
    feed_on_tick(w->feed);
    on_no_head(HEAD_NEWER);
    expect("head [suspect:newer_format 5]");
    feed_on_tick(w->feed);
    on_no_head(HEAD_GARBLED);
    expect("head [suspect:foreign 5]");
    w->now = 900000; // no time ends that
    feed_on_tick(w->feed);
    on_head(E2, 0, ""); // initialised anew by mistake
    feed_on_tick(w->feed);
    on_child_head(E2, E3, 9, "");
    expect("head head");
    assert_state(FEED_SUSPECT, FEED_REASON_FOREIGN, 5);
    assert_int_equal(feed_confirmed_at(w->feed), 1000);
    feed_on_tick(w->feed);
    on_head(E1, 5, "a=1 b=1");
    expect("head [live 5]");
    assert_int_equal(feed_counters(w->feed)->suspects, 3);
    assert_int_equal(feed_counters(w->feed)->falls, 0);
}

static void lost_writes_are_held_then_given_up(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    expect("head [suspect:went_back 5]");
    w->now += WAIT_MS - 1;
    feed_on_tick(w->feed);
    on_diverged_head(E1, 5, "a=7"); // it is being written: the wait goes on
    expect("head [suspect:diverged 5]");
    w->now += 1;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    expect("head begin scan [suspect:went_back 5]");
    on_models("a=1", true);
    expect("stage:a=1 head");
    on_head(E1, 3, "a=1");
    expect("unverified commit [live 3]");
    assert_int_equal(feed_counters(w->feed)->falls, 1);
}

static void fork_in_the_log_is_divergence(void **state)
{
    (void)state;
    struct oplog_entry forked = entry(6, "M a 7\n");
    forked.previous++;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=7 b=1");
    feed_on_log(w->feed, &forked, 1, false);
    expect("head log>5 [suspect:diverged 5]");
    // It stays suspect while it is looked at again...
    w->now += WAIT_MS - 1;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=7 b=1");
    assert_state(FEED_SUSPECT, FEED_REASON_DIVERGED, 5);
    feed_on_log(w->feed, &forked, 1, false);
    expect("head log>5");
    // ... and falls when the wait is over.
    w->now += 1;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=7 b=1");
    feed_on_log(w->feed, &forked, 1, false);
    expect("head log>5 begin scan");
    on_models("a=7 b=1", true);
    on_head(E1, 6, "a=7 b=1");
    expect("stage:a=7 stage:b=1 head unverified commit [live 6]");
    assert_int_equal(feed_counters(w->feed)->falls, 1);
}

static void fork_that_heals_is_followed(void **state)
{
    (void)state;
    struct oplog_entry forked = entry(6, "M a 7\n");
    forked.previous++;
    feed_on_tick(w->feed);
    on_head(E1, 6, "a=7 b=1");
    feed_on_log(w->feed, &forked, 1, false);
    expect("head log>5 [suspect:diverged 5]");
    feed_on_tick(w->feed);
    on_head(E1, 7, "a=2 b=1");
    struct oplog_entry entries[] = {entry(6, "M a 2\n"), entry(7, "")};
    feed_on_log(w->feed, entries, 2, false);
    expect("head log>5 a=2 publish [live 7]");
}

static void fork_after_what_fits_waits_from_there(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    w->now += WAIT_MS;
    feed_on_tick(w->feed);
    on_head(E1, 7, "a=7 b=1");
    struct oplog_entry entries[] = {entry(6, "M a 2\n"), entry(7, "M a 7\n")};
    entries[1].previous++;
    buf_clear(&w->said);
    feed_on_log(w->feed, entries, 2, false);
    expect("a=2 publish [suspect:diverged 6]");
}

static void wait_starts_anew_after_any_other_verdict(void **state)
{
    (void)state;
    for (int other = 0; other < 4; other++) {
        feed_on_tick(w->feed);
        on_head(E1, 3, "a=1");
        w->now += WAIT_MS;
        feed_on_tick(w->feed);
        if (other == 0) {
            feed_on_link(w->feed, false);
            feed_on_link(w->feed, true);
        } else if (other == 1) {
            on_no_head(HEAD_ABSENT);
        } else if (other == 2) {
            on_head(E2, 3, "a=1");
        } else {
            on_head(E1, 5, "a=1 b=1");
        }
        feed_on_tick(w->feed);
        on_head(E1, 3, "a=1");
        assert_state(FEED_SUSPECT, FEED_REASON_WENT_BACK, 5);
        assert_int_equal(feed_counters(w->feed)->reloads, 1); // the first one
        feed_on_tick(w->feed);
        on_head(E1, 5, "a=1 b=1");
    }
}

static void repair_is_taken_at_once_while_lost(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    expect("head [suspect:went_back 5]");
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 6, "a=1 b=1");
    expect("head begin scan [catchup 5]");
    on_models("a=1 b=1", true);
    on_child_head(E2, E1, 6, "a=1 b=1");
    expect("stage:a=1 stage:b=1 head unverified commit [live 6]");
    assert_int_equal(feed_counters(w->feed)->falls, 0);
    assert_int_equal(feed_position(w->feed).epoch, E2);
}

static void repair_during_the_fall_wins(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    w->now += WAIT_MS;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    on_models("a=1", true);
    buf_clear(&w->said);
    on_child_head(E2, E1, 6, "a=1 b=1");
    expect("drop begin scan [catchup 5]");
    on_models("a=1 b=1", true);
    on_child_head(E2, E1, 6, "a=1 b=1");
    assert_state(FEED_LIVE, FEED_REASON_NONE, 6);
    assert_int_equal(feed_counters(w->feed)->falls, 0);
}

static void late_bell_does_not_deny_while_falling(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    w->now += WAIT_MS;
    feed_on_tick(w->feed);
    on_head(E1, 3, "a=1");
    buf_clear(&w->said);
    on_bell(E1, 4, 1, true); // a duplicate from before the loss
    on_bell(E1, 6, 2, true);
    expect("deny2@6");
}

static void repair_below_us_counts_as_a_fall(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 4, "a=1");
    on_models("a=1", true);
    on_child_head(E2, E1, 4, "a=1");
    expect("head begin scan [catchup 5] stage:a=1 head unverified commit [live 4]");
    assert_int_equal(feed_counters(w->feed)->falls, 1);
}

static void link_loss_in_every_stage(void **state)
{
    static const char *const said[] = {
        "head [away 5]",
        "head log>5 [away 5]",
        "head begin scan [catchup 5] drop [away 5]",
        "head begin scan [catchup 5] stage:a=1 more drop [away 5]",
        "head begin scan [catchup 5] stage:a=1 head drop [away 5]",
        "head begin scan [catchup 5] stage:a=1 head log>8 drop [away 5]",
    };
    (void)state;
    for (size_t stage = 0; stage < CM_ARRAY_LEN(said); stage++) {
        feed_on_tick(w->feed);
        if (stage == 1)
            on_head(E1, 6, "");
        if (stage >= 2)
            on_child_head(E2, E1, 8, "a=1");
        if (stage >= 3)
            on_models("a=1", stage > 3);
        if (stage >= 5)
            on_child_head(E2, E1, 9, "a=1");
        on_bell(E1, 6, 0, false); // asks for a head that will never be read
        feed_on_link(w->feed, false);
        expect(said[stage]);
        feed_on_link(w->feed, false);
        feed_on_tick(w->feed);
        expect("");
        feed_on_link(w->feed, true);
        feed_on_link(w->feed, true);
        expect("head");
        on_head(E1, 5, "a=1 b=1");
        expect("[live 5]");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_CASE(bell_during_a_read_reads_again),
        LIVE_CASE(bell_of_where_we_stand_is_no_news),
        LIVE_CASE(bell_names_keys_only_of_our_future),
        LIVE_CASE(bell_of_the_history_that_is_being_loaded),
        EMPTY_CASE(bell_without_a_catalog_only_makes_it_read),
        LIVE_CASE(confirm_reads_now_or_after_the_read_under_way),
        LIVE_CASE(holds_what_is_no_continuation),
        LIVE_CASE(lost_writes_are_held_then_given_up),
        LIVE_CASE(fork_in_the_log_is_divergence),
        LIVE_CASE(fork_that_heals_is_followed),
        LIVE_CASE(fork_after_what_fits_waits_from_there),
        LIVE_CASE(wait_starts_anew_after_any_other_verdict),
        LIVE_CASE(repair_is_taken_at_once_while_lost),
        LIVE_CASE(repair_during_the_fall_wins),
        LIVE_CASE(late_bell_does_not_deny_while_falling),
        LIVE_CASE(repair_below_us_counts_as_a_fall),
        LIVE_CASE(link_loss_in_every_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
