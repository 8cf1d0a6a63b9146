// SPDX-License-Identifier: Apache-2.0
#include "services/key_gate.h"

#include <string.h>

#include "tests/support/key_world.h"

enum { A = 1, B = 2, QUESTIONS = 4, MAX_STALE_S = 3600 };

static struct key_gate *gate;
static struct key_question questions[QUESTIONS];
static char told[32];             // verdicts of the questions that waited: "g", "r", "u"
static enum key_doubt told_doubt; // of the last of them

static int start(void **state)
{
    (void)state;
    world_reset();
    told[0] = '\0';
    const struct key_gate_options options = {.source = &world_source,
                                             .cache_bytes = 1 << 20,
                                             .poll_ms = WORLD_POLL_MS,
                                             .max_stale_s = MAX_STALE_S};
    gate = key_gate_create(&options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    while (world.read_count > 0)
        world_answer_failed();
    key_gate_destroy(gate);
    return 0;
}

static void on_verdict(struct key_question *q, enum key_verdict verdict, struct key_entry *entry)
{
    (void)q;
    assert_true((verdict == KEY_GRANTED) == (entry != NULL));
    size_t len = strlen(told);
    assert_true(len + 1 < sizeof(told) && verdict <= KEY_UNKNOWN);
    told[len] = "gru"[verdict];
    told_doubt = key_gate_doubt(gate);
    assert_true((verdict == KEY_UNKNOWN) == (told_doubt != KEY_DOUBT_NONE));
    told[len + 1] = '\0';
}

#define assert_told(words_)                                                                        \
    do {                                                                                           \
        assert_string_equal(told, (words_));                                                       \
        told[0] = '\0';                                                                            \
    } while (0)

static enum key_verdict ask(unsigned n)
{
    struct secret_digest d = world_digest(n);
    struct key_entry *entry;
    enum key_verdict verdict = key_gate_ask(gate, &d, &entry);
    assert_true((verdict == KEY_GRANTED) == (entry != NULL));
    return verdict;
}

static bool wait_for(unsigned n, size_t question, enum key_verdict later)
{
    questions[question].digest = world_digest(n);
    questions[question].on_verdict = on_verdict;
    return key_gate_wait(gate, &questions[question], later);
}

// Reads a record into the cache: state and revision of the record.
static void know(unsigned n, const char *key_state, uint64_t rev)
{
    assert_int_equal(ask(n), KEY_LATER_READ);
    assert_true(wait_for(n, 0, KEY_LATER_READ));
    world_answer_found(world.now.position.revision, key_state, rev);
    told[0] = '\0';
}

static void changed(unsigned n, bool deny, uint64_t revision)
{
    struct secret_digest d = world_digest(n);
    key_gate_key_changed(gate, &d, deny, revision);
}

static void pass_ms(uint64_t ms)
{
    world.now.now_ms += ms;
}

// The feed's poll has come back.
static void confirm(void)
{
    world.now.confirmed_ms = world.now.now_ms;
    key_gate_on_feed(gate);
}

static void link_down(void)
{
    world.now.up = false;
    world.now.state = FEED_AWAY;
    key_gate_on_feed(gate);
}

static void link_up(void)
{
    world.now.up = true;
    world.now.state = FEED_LIVE;
    confirm();
}

static void a_miss_then_hits(void **state)
{
    (void)state;
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    assert_told("");
    world_answer_found(10, "active", 4);
    assert_told("g");
    assert_int_equal(ask(A), KEY_GRANTED);
    assert_int_equal(ask(A), KEY_GRANTED);
    assert_int_equal(world.sent, 1);
    assert_int_equal(key_gate_counters(gate).hits, 2);
    assert_int_equal(key_gate_counters(gate).misses, 1);
}

static void known_to_be_bad(void **state)
{
    (void)state;
    know(A, "disabled", 4);
    assert_int_equal(ask(A), KEY_REFUSED);
    know(B, "revoked", 4);
    assert_int_equal(ask(B), KEY_REFUSED);
}

static void expiry_is_looked_at_at_every_use(void **state)
{
    (void)state;
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer(&(struct key_read){
        .status = KEY_READ_FOUND,
        .epoch = WORLD_EPOCH,
        .revision = 10,
        .change = 1010,
        .record = SLICE_LIT("{\"rev\":4,\"id\":\"key_01ARYZ6S41TSV4RRFFQ69G5FAV\",\"state\":"
                            "\"active\",\"expires_at\":1700000100}")});
    assert_told("g");
    world.now.wall_s = 1700000099;
    assert_int_equal(ask(A), KEY_GRANTED);
    world.now.wall_s = 1700000100;
    assert_int_equal(ask(A), KEY_REFUSED);
}

static void an_absence_is_remembered_for_two_seconds(void **state)
{
    (void)state;
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_absent(10);
    assert_told("r");
    assert_int_equal(ask(A), KEY_REFUSED);
    assert_int_equal(key_gate_counters(gate).negative_hits, 1);
    pass_ms(KEY_ABSENT_MS - 1);
    confirm();
    assert_int_equal(ask(A), KEY_REFUSED);
    pass_ms(1);
    assert_int_equal(ask(A), KEY_LATER_READ);
}

static void an_absence_is_used_only_while_confirmed(void **state)
{
    (void)state;
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_absent(10);
    pass_ms(KEY_LEASE_POLLS * WORLD_POLL_MS);
    assert_int_equal(ask(A), KEY_REFUSED);
    pass_ms(1);
    assert_int_equal(ask(A), KEY_LATER_READ);
    confirm();
    assert_int_equal(ask(A), KEY_REFUSED);
    link_down();
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_false(wait_for(A, 0, KEY_LATER_READ)); // 500, not 401
    link_up();
    key_gate_keys_unverified(gate);
    assert_int_equal(ask(A), KEY_LATER_READ);
}

static void an_absence_just_read_counts_whatever_the_lease(void **state)
{
    (void)state;
    world.now.state = FEED_CATCHUP; // a long reload
    pass_ms(10000);
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_absent(10);
    assert_told("r");
}

static void a_created_key_works_at_once(void **state)
{
    (void)state;
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_absent(10);
    changed(A, false, 11);
    assert_int_equal(ask(A), KEY_LATER_READ);
}

static void denied_at_once_and_whatever_else(void **state)
{
    (void)state;
    know(A, "active", 4);
    changed(A, true, 11);
    assert_int_equal(ask(A), KEY_REFUSED);
    link_down();
    assert_int_equal(ask(A), KEY_REFUSED);
    pass_ms((MAX_STALE_S + 1) * 1000);
    assert_int_equal(ask(A), KEY_REFUSED);
    world.now.state = FEED_SUSPECT;
    assert_int_equal(ask(A), KEY_REFUSED);
    assert_int_equal(world.sent, 1);
}

static void a_denial_is_read_again_when_it_may_be_over(void **state)
{
    (void)state;
    changed(A, true, 11);
    changed(A, false, 12); // enabled again
    link_down();
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_false(wait_for(A, 0, KEY_LATER_READ)); // nobody knows: 500
    link_up();
    world_move_to(WORLD_EPOCH, 12);
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_found(12, "active", 12);
    assert_told("g");
}

static void a_denial_stays_when_the_record_is_not_above_it(void **state)
{
    (void)state;
    world_move_to(WORLD_EPOCH, 12);
    changed(A, true, 11);
    key_gate_keys_unverified(gate);
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_found(12, "active", 4);
    assert_told("r");
    assert_int_equal(ask(A), KEY_REFUSED);
}

static void dirty_is_never_used_before_a_read(void **state)
{
    (void)state;
    know(A, "active", 4);
    changed(A, false, 11);
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_failed();
    assert_told("u");
    assert_int_equal(told_doubt, KEY_DOUBT_STORE_AWAY);
    link_down();
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_false(wait_for(A, 0, KEY_LATER_READ));
}

static void unverified_is_read_if_anybody_can_be_asked(void **state)
{
    (void)state;
    know(A, "active", 4);
    key_gate_keys_unverified(gate);
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_failed(); // the link is about to go
    assert_told("g");
    link_down();
    assert_int_equal(ask(A), KEY_GRANTED);
    world.now.up = true;
    world.now.state = FEED_SUSPECT;
    assert_int_equal(ask(A), KEY_GRANTED);
    link_up();
    assert_int_equal(ask(A), KEY_LATER_READ);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    world_answer_found(10, "active", 4);
    assert_told("g");
    assert_int_equal(ask(A), KEY_GRANTED);
}

static void a_reload_does_not_renew_the_lease(void **state)
{
    (void)state;
    know(A, "active", 4);
    know(B, "active", 4);
    pass_ms(MAX_STALE_S * 1000 - 10); // away for long, then trimmed: a reload
    key_gate_keys_unverified(gate);
    confirm();
    assert_true(wait_for(B, 0, KEY_LATER_READ));
    world_answer_found(10, "active", 4);
    assert_told("g");
    link_down();
    assert_int_equal(ask(A), KEY_GRANTED);
    pass_ms(11);
    assert_int_equal(ask(A), KEY_UNKNOWN); // it may be revoked since an hour
    assert_int_equal(key_gate_doubt(gate), KEY_DOUBT_LEASE_OVER);
    assert_int_equal(ask(B), KEY_GRANTED);
    for (int i = 0; i < 513; i++) // what was too long ago is not remembered
        key_gate_keys_unverified(gate);
    assert_int_equal(ask(A), KEY_UNKNOWN);
    assert_int_equal(ask(B), KEY_UNKNOWN);
}

static void what_cannot_be_made_sure_of_is_unknown(void **state)
{
    (void)state;
    know(A, "active", 4);
    key_gate_keys_unverified(gate);
    assert_true(wait_for(A, 0, KEY_LATER_READ));
    for (int i = 0; i < KEY_FILL_TRIES; i++) {
        key_gate_keys_unverified(gate);
        world_answer_found(10, "active", 4);
    }
    assert_told("u");
    assert_int_equal(told_doubt, KEY_DOUBT_KEY_UNSURE);
}

static void ignore(struct key_question *q, enum key_verdict verdict, struct key_entry *entry)
{
    (void)q;
    (void)verdict;
    (void)entry;
}

static void too_many_that_wait_are_told_so(void **state)
{
    (void)state;
    static struct key_question crowd[KEY_FILL_WAITERS_MAX + 2];
    for (size_t i = 0; i < CM_ARRAY_LEN(crowd); i++) {
        assert_int_equal(ask(A), KEY_LATER_READ);
        crowd[i].digest = world_digest(A);
        crowd[i].on_verdict = ignore;
        assert_int_equal(key_gate_wait(gate, &crowd[i], KEY_LATER_READ),
                         i + 1 < CM_ARRAY_LEN(crowd));
    }
    assert_int_equal(key_gate_doubt(gate), KEY_DOUBT_TOO_MANY);
    world_answer_found(10, "active", 4);
    assert_int_equal(world.sent, 1);
}

static void a_crowd_that_waits_for_a_confirmation_is_in_nobodys_way(void **state)
{
    (void)state;
    static struct key_question crowd[KEY_FILL_WAITERS_MAX + 2];
    know(A, "active", 4);
    pass_ms(KEY_LEASE_POLLS * WORLD_POLL_MS + 1);
    for (size_t i = 0; i < CM_ARRAY_LEN(crowd); i++) {
        assert_int_equal(ask(A), KEY_LATER_CONFIRM);
        crowd[i].digest = world_digest(A);
        crowd[i].on_verdict = ignore;
        crowd[i].crowded = i > 0;
        assert_int_equal(key_gate_wait(gate, &crowd[i], KEY_LATER_CONFIRM),
                         i < KEY_FILL_WAITERS_MAX);
    }
    assert_int_equal(key_gate_doubt(gate), KEY_DOUBT_TOO_MANY);
    assert_true(wait_for(A, 0, KEY_LATER_CONFIRM));
    confirm();
    assert_told("g");
}

static void nothing_is_known_without_a_catalog(void **state)
{
    (void)state;
    world.now.state = FEED_EMPTY;
    assert_int_equal(ask(A), KEY_UNKNOWN);
    assert_int_equal(key_gate_doubt(gate), KEY_DOUBT_NO_CATALOG);
    assert_int_equal(world.sent, 0);
}

static void unknown_keys_while_the_store_is_suspect(void **state)
{
    (void)state;
    know(A, "active", 4);
    world.now.state = FEED_SUSPECT;
    assert_int_equal(ask(A), KEY_GRANTED);
    assert_int_equal(ask(B), KEY_LATER_READ);
    assert_false(wait_for(B, 0, KEY_LATER_READ));
    assert_int_equal(key_gate_doubt(gate), KEY_DOUBT_STORE_AWAY);
    assert_int_equal(ask(A), KEY_GRANTED);
    assert_int_equal(key_gate_doubt(gate), KEY_DOUBT_NONE);
}

static void known_keys_in_an_outage_until_max_stale(void **state)
{
    (void)state;
    know(A, "active", 4);
    link_down();
    pass_ms(MAX_STALE_S * 1000);
    assert_int_equal(ask(A), KEY_GRANTED);
    pass_ms(1);
    assert_int_equal(ask(A), KEY_UNKNOWN);
    link_up();
    assert_int_equal(ask(A), KEY_GRANTED);
    assert_int_equal(world.confirms, 0); // nobody waited
}

static void for_ever_is_for_ever(void **state)
{
    (void)state;
    key_gate_destroy(gate);
    const struct key_gate_options options = {
        .source = &world_source, .cache_bytes = 1 << 20, .poll_ms = WORLD_POLL_MS};
    gate = key_gate_create(&options);
    know(A, "active", 4);
    link_down();
    pass_ms((uint64_t)1000 * 86400 * 365);
    assert_int_equal(ask(A), KEY_GRANTED);
}

// -- an old lease while the store seems to be there --------------------------

static void a_pause_is_made_up_for_before_anything_is_granted(void **state)
{
    (void)state;
    know(A, "active", 4);
    pass_ms(KEY_LEASE_POLLS * WORLD_POLL_MS);
    assert_int_equal(ask(A), KEY_GRANTED);
    pass_ms(1);
    assert_int_equal(ask(A), KEY_LATER_CONFIRM);
    assert_true(wait_for(A, 0, KEY_LATER_CONFIRM));
    assert_true(wait_for(A, 1, KEY_LATER_CONFIRM));
    assert_int_equal(world.confirms, 1);
    assert_int_equal(world.alarm_ms, world.now.now_ms + KEY_CONFIRM_PATIENCE_MS);
    key_gate_on_feed(gate); // other news
    assert_told("");
    changed(A, true, 11);
    world_move_to(WORLD_EPOCH, 11);
    confirm();
    assert_told("rr");
}

static void what_was_missed_is_read_before_the_verdict(void **state)
{
    (void)state;
    know(A, "active", 4);
    pass_ms(10000);
    assert_int_equal(ask(A), KEY_LATER_CONFIRM);
    assert_true(wait_for(A, 0, KEY_LATER_CONFIRM));
    changed(A, false, 11);
    world_move_to(WORLD_EPOCH, 11);
    confirm();
    assert_told("");
    assert_int_equal(world.read_count, 1);
    world_answer_found(11, "active", 11);
    assert_told("g");
}

static void nobody_waits_longer_than_50_ms(void **state)
{
    (void)state;
    know(A, "active", 4);
    pass_ms(10000);
    assert_true(wait_for(A, 0, KEY_LATER_CONFIRM));
    pass_ms(KEY_CONFIRM_PATIENCE_MS - 1);
    key_gate_on_time(gate);
    assert_told("");
    pass_ms(1);
    key_gate_on_time(gate);
    assert_told("g");                      // by what is known
    assert_int_equal(ask(A), KEY_GRANTED); // and the next does not wait
    pass_ms(1000);
    assert_int_equal(ask(A), KEY_LATER_CONFIRM); // but somebody tries again
    assert_true(wait_for(A, 0, KEY_LATER_CONFIRM));
    assert_int_equal(world.confirms, 2);
    link_down();
    assert_told("g");
    assert_int_equal(ask(A), KEY_GRANTED);
}

static void the_alarm_follows_the_earliest_wish(void **state)
{
    (void)state;
    know(A, "active", 4);
    pass_ms(10000);
    assert_true(wait_for(B, 1, KEY_LATER_READ));
    assert_int_equal(world.alarm_ms, world.now.now_ms + KEY_FILL_PATIENCE_MS);
    assert_true(wait_for(A, 0, KEY_LATER_CONFIRM));
    assert_int_equal(world.alarm_ms, world.now.now_ms + KEY_CONFIRM_PATIENCE_MS);
    pass_ms(KEY_CONFIRM_PATIENCE_MS);
    key_gate_on_time(gate);
    assert_told("g");
    assert_int_equal(world.alarm_ms,
                     world.now.now_ms - KEY_CONFIRM_PATIENCE_MS + KEY_FILL_PATIENCE_MS);
    pass_ms(KEY_FILL_PATIENCE_MS);
    key_gate_on_time(gate);
    assert_told("u");
}

static void the_end_tells_everybody(void **state)
{
    (void)state;
    know(A, "active", 4);
    pass_ms(10000);
    assert_true(wait_for(A, 0, KEY_LATER_CONFIRM));
    key_gate_destroy(gate);
    gate = NULL;
    assert_told("u");
}

#define CASE(function_) cmocka_unit_test_setup_teardown(function_, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_miss_then_hits),
        CASE(known_to_be_bad),
        CASE(expiry_is_looked_at_at_every_use),
        CASE(an_absence_is_remembered_for_two_seconds),
        CASE(an_absence_is_used_only_while_confirmed),
        CASE(an_absence_just_read_counts_whatever_the_lease),
        CASE(a_created_key_works_at_once),
        CASE(denied_at_once_and_whatever_else),
        CASE(a_denial_is_read_again_when_it_may_be_over),
        CASE(a_denial_stays_when_the_record_is_not_above_it),
        CASE(dirty_is_never_used_before_a_read),
        CASE(unverified_is_read_if_anybody_can_be_asked),
        CASE(a_reload_does_not_renew_the_lease),
        CASE(what_cannot_be_made_sure_of_is_unknown),
        CASE(too_many_that_wait_are_told_so),
        CASE(a_crowd_that_waits_for_a_confirmation_is_in_nobodys_way),
        CASE(nothing_is_known_without_a_catalog),
        CASE(unknown_keys_while_the_store_is_suspect),
        CASE(known_keys_in_an_outage_until_max_stale),
        CASE(for_ever_is_for_ever),
        CASE(a_pause_is_made_up_for_before_anything_is_granted),
        CASE(what_was_missed_is_read_before_the_verdict),
        CASE(nobody_waits_longer_than_50_ms),
        CASE(the_alarm_follows_the_earliest_wish),
        CASE(the_end_tells_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
