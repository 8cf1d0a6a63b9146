// SPDX-License-Identifier: Apache-2.0
// A feed that starts from what an earlier process knew, and one whose server
// nobody vouches for.
#include "tests/support/feed_world.h"

static void restored_it_is_away_and_says_from_where(void **state)
{
    (void)state;
    assert_true(restore(5, "a=1 b=1", "a=1 b=1", 77));
    expect("");
    assert_state(FEED_AWAY, FEED_REASON_NONE, 5);
    assert_true(feed_is_from_disk(w->feed));
    assert_int_equal(feed_confirmed_at(w->feed), 77);
    assert_true(feed_has_passed(w->feed, E1, 5, feed_position(w->feed).change));
}

static void records_that_do_not_sum_up_restore_nothing(void **state)
{
    (void)state;
    assert_false(restore(5, "a=1 b=2", "a=1 b=1", 77));
    assert_false(restore(5, "a=1", "a=1 b=1", 77));
    assert_state(FEED_EMPTY, FEED_REASON_NONE, 0);
    assert_false(feed_is_from_disk(w->feed));
    assert_int_equal(feed_confirmed_at(w->feed), 0);
    feed_on_link(w->feed, true);
    load(E1, 5, "a=1 b=1"); // as new
    assert_state(FEED_LIVE, FEED_REASON_NONE, 5);
}

static void it_goes_on_by_the_log_without_a_reload(void **state)
{
    (void)state;
    assert_true(restore(5, "a=1 b=1", "a=1 b=1", 77));
    feed_on_link(w->feed, true);
    on_head(E1, 6, "a=1 b=1");
    expect("head log>5");
    assert_true(feed_is_from_disk(w->feed));
    on_entry(6, "D " KEY1 "\n");
    expect("deny1@6 publish [live 6]");
    assert_false(feed_is_from_disk(w->feed));
    assert_int_equal(feed_counters(w->feed)->reloads, 0);
}

static void confirmed_where_it_stands_it_is_live(void **state)
{
    (void)state;
    assert_true(restore(5, "a=1 b=1", "a=1 b=1", 77));
    feed_on_link(w->feed, true);
    w->now = 500;
    on_head(E1, 5, "a=1 b=1");
    expect("head [live 5]");
    assert_int_equal(feed_confirmed_at(w->feed), 500);
    assert_false(feed_is_from_disk(w->feed));
}

static void another_store_does_not_replace_what_was_restored(void **state)
{
    (void)state;
    assert_true(restore(5, "a=1 b=1", "a=1 b=1", 77));
    feed_on_link(w->feed, true);
    on_no_head(HEAD_ABSENT);
    expect("head [suspect:empty 5]");
    feed_on_tick(w->feed);
    on_head(E2, 9, "a=1");
    expect("head [suspect:foreign 5]");
    feed_on_tick(w->feed);
    on_head(E1, 4, "a=1");
    expect("head [suspect:went_back 5]");
    assert_true(feed_is_from_disk(w->feed));
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 9, "a=1");
    expect("head begin scan [catchup 5]");
    on_models("a=1", true);
    on_child_head(E2, E1, 9, "a=1");
    expect("stage:a=1 head unverified commit [live 9]");
    assert_false(feed_is_from_disk(w->feed));
}

static void an_unconfirmed_head_is_as_if_redis_were_away(void **state)
{
    (void)state;
    uint64_t confirmed = feed_confirmed_at(w->feed);
    w->now += 100;
    feed_on_tick(w->feed);
    on_unconfirmed_head(E1, 5, "a=1 b=1");
    expect("head [away:unconfirmed 5]");
    assert_int_equal(feed_confirmed_at(w->feed), confirmed);
    feed_on_tick(w->feed);
    on_unconfirmed_head(E1, 6, "a=1"); // ahead, behind, foreign: worth nothing either
    feed_on_tick(w->feed);
    on_unconfirmed_head(E1, 4, "a=1");
    feed_on_tick(w->feed);
    on_unconfirmed_head(E2, 9, "a=1");
    expect("head head head");
    on_bell(E1, 6, 1, true); // stricter it may become
    expect("deny1@6 head");
    on_head(E1, 5, "a=1 b=1");
    expect("[live 5]");
}

static void lost_writes_are_not_given_up_to_an_unconfirmed_store(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_head(E1, 4, "a=1");
    expect("head [suspect:went_back 5]");
    w->now += WAIT_MS;
    feed_on_tick(w->feed);
    on_unconfirmed_head(E1, 4, "a=1");
    expect("head [away:unconfirmed 5]");
    feed_on_tick(w->feed);
    on_head(E1, 4, "a=1"); // the wait begins anew
    expect("head [suspect:went_back 5]");
    assert_int_equal(feed_counters(w->feed)->reloads, 1);
}

static void a_reload_ends_with_the_confirmation(void **state)
{
    (void)state;
    feed_on_tick(w->feed);
    on_child_head(E2, E1, 8, "a=1");
    on_models("a=1", true);
    on_unconfirmed_head(E2, 8, "a=1");
    expect("head begin scan [catchup 5] stage:a=1 head drop [away:unconfirmed 5]");
}

static void nothing_is_loaded_from_an_unconfirmed_store(void **state)
{
    (void)state;
    feed_on_link(w->feed, true);
    on_unconfirmed_head(E1, 5, "a=1");
    expect("head [empty:unconfirmed 0]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EMPTY_CASE(restored_it_is_away_and_says_from_where),
        EMPTY_CASE(records_that_do_not_sum_up_restore_nothing),
        EMPTY_CASE(it_goes_on_by_the_log_without_a_reload),
        EMPTY_CASE(confirmed_where_it_stands_it_is_live),
        EMPTY_CASE(another_store_does_not_replace_what_was_restored),
        LIVE_CASE(an_unconfirmed_head_is_as_if_redis_were_away),
        LIVE_CASE(lost_writes_are_not_given_up_to_an_unconfirmed_store),
        LIVE_CASE(a_reload_ends_with_the_confirmation),
        EMPTY_CASE(nothing_is_loaded_from_an_unconfirmed_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
