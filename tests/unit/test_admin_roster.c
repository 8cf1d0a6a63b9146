// SPDX-License-Identifier: Apache-2.0
// Who is counted, until when; and when a revision has reached everybody.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/propagation.h"
#include "admin/roster.h"
#include "tests/support/test.h"

enum { EPOCH = 5, SETTLED = 10000 };

static struct ack ack_of(enum ack_kind kind, const char *id, uint64_t revision)
{
    struct ack ack = {.kind = kind, .epoch = EPOCH, .revision = revision, .max_stale_s = 60};
    strcpy(ack.id, id);
    strcpy(ack.state, "live");
    return ack;
}

static void say(struct roster *r, enum ack_kind kind, const char *id, uint64_t revision,
                uint64_t now_ms)
{
    struct ack ack = ack_of(kind, id, revision);
    roster_on_ack(r, &ack, now_ms);
}

static void is(struct roster *r, const char *wanted)
{
    struct buf ids = {.len = 0};
    for (size_t i = 0; i < roster_count(r); i++)
        buf_printf(&ids, "%s%s", i > 0 ? " " : "", roster_at(r, i)->ack.id);
    assert_slice(buf_slice(&ids), wanted);
    buf_fini(&ids);
}

static void coming_and_going(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    say(r, ACK_HELLO, "b", 0, 1);
    say(r, ACK_STATE, "c", 0, 1);
    say(r, ACK_HELLO, "a", 0, 1);
    say(r, ACK_STATE, "b", 7, 2);
    is(r, "a b c");
    assert_int_equal(roster_at(r, 1)->ack.revision, 7);
    say(r, ACK_BYE, "c", 0, 3);
    is(r, "a b");
    struct ack successor = ack_of(ACK_HELLO, "a2", 0);
    strcpy(successor.replaces, "a");
    roster_on_ack(r, &successor, 4);
    is(r, "a2 b");
    assert_true(roster_forget(r, SLICE_LIT("b")));
    assert_false(roster_forget(r, SLICE_LIT("b")));
    is(r, "a2");
    say(r, ACK_STATE, "b", 0, 5); // it was alive after all
    is(r, "a2 b");
    roster_destroy(r);
}

static void silence_takes_off_only_after_max_stale(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    say(r, ACK_HELLO, "a", 0, 1000);
    struct ack forever = ack_of(ACK_HELLO, "z", 0);
    forever.max_stale_s = 0;
    roster_on_ack(r, &forever, 1000);
    assert_false(roster_is_silent(roster_at(r, 0), 4000));
    assert_true(roster_is_silent(roster_at(r, 0), 4001));
    roster_expire(r, 61000);
    is(r, "a z");
    roster_expire(r, 61001);
    is(r, "z");
    roster_expire(r, UINT64_C(1) << 50);
    is(r, "z");
    roster_destroy(r);
}

struct mirror {
    bool away;
    struct buf log;
};

static bool write_mirror(void *ctx, struct slice id, struct slice text)
{
    struct mirror *m = ctx;
    if (m->away)
        return false;
    buf_append_str(&m->log, text.ptr == NULL ? "-" : "+");
    buf_append_slice(&m->log, id);
    return true;
}

static void flushes(struct roster *r, struct mirror *m, uint64_t now_ms, const char *wanted)
{
    buf_clear(&m->log);
    roster_flush(r, now_ms, write_mirror, m);
    assert_slice(buf_slice(&m->log), wanted);
}

static void the_mirror(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    struct mirror m = {.away = false};
    say(r, ACK_HELLO, "a", 0, 1000);
    say(r, ACK_HELLO, "b", 0, 1000);
    flushes(r, &m, 1000, "+a+b");
    say(r, ACK_STATE, "a", 3, 2000);
    flushes(r, &m, 2000, "");
    m.away = true;
    say(r, ACK_BYE, "b", 0, 3000);
    say(r, ACK_HELLO, "c", 0, 3000);
    flushes(r, &m, 3000, "");
    m.away = false;
    flushes(r, &m, 3100, "-b+c");
    flushes(r, &m, 31000, "+a");
    // A removal that was not stored yet is void when the worker is back.
    say(r, ACK_BYE, "c", 0, 32000);
    say(r, ACK_STATE, "c", 0, 32001);
    flushes(r, &m, 32002, "+c");
    buf_fini(&m.log);
    roster_destroy(r);
}

static void loading_the_mirror(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    struct ack old = ack_of(ACK_STATE, "a", 3);
    old.sent_ms = 1000000;
    roster_load(r, &old, roster_removals(r), 100000, 1050000); // fifty seconds ago
    is(r, "a");
    roster_expire(r, 109999);
    is(r, "a");
    roster_expire(r, 110001);
    is(r, "");
    // What was taken off here does not come back from a mirror that still has it.
    roster_load(r, &old, roster_removals(r), 100000, 1050000);
    is(r, "");
    // Nor one whose bye came before the mirror was read; and the mirror is mended.
    struct mirror m = {.away = false};
    struct ack gone = ack_of(ACK_STATE, "gone", 3);
    gone.sent_ms = 1050000;
    flushes(r, &m, 100000, "-a");
    say(r, ACK_BYE, "gone", 0, 100000);
    roster_load(r, &gone, roster_removals(r), 100000, 1050000);
    is(r, "");
    flushes(r, &m, 100000, "-gone");
    // Nor one whose removal the mirror is told while it is being read.
    say(r, ACK_STATE, "c", 1, 100000);
    flushes(r, &m, 100000, "+c");
    say(r, ACK_BYE, "c", 0, 100000);
    uint64_t asked = roster_removals(r);
    struct ack read = ack_of(ACK_STATE, "c", 1);
    read.sent_ms = 1050000;
    flushes(r, &m, 100000, "-c");
    roster_load(r, &read, asked, 100000, 1050000);
    is(r, "");
    buf_fini(&m.log);
    struct ack known = ack_of(ACK_STATE, "b", 9);
    roster_on_ack(r, &known, 5);
    struct ack stale = ack_of(ACK_STATE, "b", 2);
    roster_load(r, &stale, roster_removals(r), 6, 7);
    assert_int_equal(roster_at(r, 0)->ack.revision, 9);
    roster_destroy(r);
}

static void who_holds_a_history(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    struct ack empty = ack_of(ACK_HELLO, "a", 0);
    empty.epoch = 0;
    roster_on_ack(r, &empty, 100);
    assert_false(roster_knows_history(r, 0));
    say(r, ACK_STATE, "b", 4, 200);
    assert_true(roster_knows_history(r, 200));
    assert_false(roster_knows_history(r, 201));
    roster_destroy(r);
}

// --- propagation

struct fixture {
    struct roster *roster;
    struct propagation *p;
    int done;
    struct buf json;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->roster = roster_create();
    f->p = propagation_create(f->roster, 3600, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    propagation_destroy(f->p);
    roster_destroy(f->roster);
    buf_fini(&f->json);
    free(f);
    return 0;
}

static void on_done(void *ctx, struct slice json)
{
    struct fixture *f = ctx;
    f->done++;
    buf_clear(&f->json);
    buf_append_slice(&f->json, json);
}

static struct propagation_goal goal_of(uint64_t revision, bool announced, uint64_t now_ms)
{
    return (struct propagation_goal){.epoch = EPOCH,
                                     .revision = revision,
                                     .announced = announced,
                                     .started_ms = now_ms,
                                     .written_ms = 1700000000000,
                                     .deadline_ms = now_ms + 5000};
}

static void reports(struct fixture *f, const char *wanted)
{
    assert_slice(buf_slice(&f->json), wanted);
}

static void complete_only_with_everybody_and_the_own_bell(void **state)
{
    struct fixture *f = *state;
    propagation_on_link(f->p, true, 1000);
    say(f->roster, ACK_HELLO, "a", 0, 2000);
    say(f->roster, ACK_HELLO, "b", 0, 2000);
    struct propagation_goal goal = goal_of(8, true, SETTLED);
    assert_false(propagation_try(f->p, &goal, SETTLED, &f->json));
    propagation_start(f->p, &goal, on_done, f);
    say(f->roster, ACK_STATE, "a", 8, SETTLED + 1);
    propagation_on_roster(f->p, SETTLED + 1);
    say(f->roster, ACK_STATE, "b", 9, SETTLED + 2);
    propagation_on_roster(f->p, SETTLED + 2);
    assert_int_equal(f->done, 0); // the bell has not come back: who knows who else is there
    propagation_on_bell(f->p, EPOCH, 7, SETTLED + 3);
    assert_int_equal(f->done, 0);
    propagation_on_bell(f->p, EPOCH, 8, SETTLED + 4);
    assert_int_equal(f->done, 1);
    reports(f, "{\"revision\":8,\"workers\":2,\"applied\":2,\"complete\":true,\"elapsed_ms\":4,"
               "\"lagging\":[],\"refused_everywhere_by\":\"2023-11-14T22:13:21Z\"}");
    propagation_on_tick(f->p, SETTLED + 10000);
    assert_int_equal(f->done, 1);
}

static void a_worker_of_another_history_has_not_applied_it(void **state)
{
    struct fixture *f = *state;
    propagation_on_link(f->p, true, 1000);
    struct ack other = ack_of(ACK_STATE, "a", 100);
    other.epoch = EPOCH + 1;
    roster_on_ack(f->roster, &other, 2000);
    struct propagation_goal goal = goal_of(8, false, SETTLED);
    assert_false(propagation_try(f->p, &goal, SETTLED, &f->json));
    say(f->roster, ACK_STATE, "a", 8, SETTLED);
    assert_true(propagation_try(f->p, &goal, SETTLED, &f->json));
}

static void at_the_deadline_it_names_who_lags(void **state)
{
    struct fixture *f = *state;
    propagation_on_link(f->p, true, 1000);
    say(f->roster, ACK_STATE, "a", 8, 2000);
    say(f->roster, ACK_STATE, "b", 7, 2000);
    struct propagation_goal goal = goal_of(8, false, SETTLED);
    propagation_start(f->p, &goal, on_done, f);
    propagation_on_tick(f->p, SETTLED + 4999);
    assert_int_equal(f->done, 0);
    assert_int_equal(propagation_waiting(f->p), 1);
    propagation_on_tick(f->p, SETTLED + 5000);
    assert_int_equal(f->done, 1);
    assert_int_equal(propagation_waiting(f->p), 0);
    reports(f, "{\"revision\":8,\"workers\":2,\"applied\":1,\"complete\":false,"
               "\"elapsed_ms\":5000,\"lagging\":[\"b\"],"
               "\"refused_everywhere_by\":\"2023-11-14T22:14:20Z\"}"); // + its 60 s
}

static void for_ever_is_null(void **state)
{
    struct fixture *f = *state;
    struct ack forever = ack_of(ACK_STATE, "a", 0);
    forever.max_stale_s = 0;
    roster_on_ack(f->roster, &forever, 1);
    struct propagation_goal goal = goal_of(8, false, SETTLED);
    propagation_start(f->p, &goal, on_done, f);
    propagation_end_all(f->p, SETTLED + 1);
    assert_int_equal(f->done, 1);
    assert_non_null(strstr(buf_cstr(&f->json), "\"refused_everywhere_by\":null"));
}

// Nobody known is only an answer when somebody would have been heard.
static void nobody_is_known_at_once_or_not_yet(void **state)
{
    struct fixture *f = *state;
    struct propagation_goal goal = goal_of(8, false, SETTLED);
    assert_false(propagation_try(f->p, &goal, SETTLED, &f->json)); // not subscribed
    propagation_on_link(f->p, true, SETTLED);
    assert_false(propagation_try(f->p, &goal, SETTLED + 1000, &f->json));
    assert_true(propagation_try(f->p, &goal, SETTLED + 2000, &f->json));
    reports(f, "{\"revision\":8,\"workers\":0,\"applied\":0,\"complete\":false,"
               "\"elapsed_ms\":2000,\"lagging\":[],"
               "\"refused_everywhere_by\":\"2023-11-14T23:13:20Z\"}"); // + the admin's 3600 s
}

static void where_redis_fails_over_it_takes_a_little_longer(void **state)
{
    struct fixture *f = *state;
    struct propagation_goal goal = goal_of(8, false, SETTLED);
    struct propagation *p = propagation_create(f->roster, 3600, 3000);
    propagation_on_link(p, true, SETTLED);
    assert_true(propagation_try(p, &goal, SETTLED + 2000, &f->json));
    assert_non_null(strstr(buf_cstr(&f->json), "2023-11-14T23:13:23Z")); // 3 s more than above
    propagation_destroy(p);
}

static void a_lost_subscription_is_not_trusted(void **state)
{
    struct fixture *f = *state;
    propagation_on_link(f->p, true, 1000);
    propagation_on_bell(f->p, EPOCH, 8, 2000);
    say(f->roster, ACK_STATE, "a", 8, 2000);
    struct propagation_goal goal = goal_of(8, true, SETTLED);
    assert_true(propagation_try(f->p, &goal, SETTLED, &f->json));
    propagation_on_link(f->p, false, SETTLED);
    assert_false(propagation_try(f->p, &goal, SETTLED, &f->json));
    propagation_on_link(f->p, true, SETTLED);
    assert_false(propagation_try(f->p, &goal, SETTLED + 5000, &f->json)); // its bell is lost
    propagation_on_bell(f->p, EPOCH, 9, SETTLED + 5000);                  // a later one is as good
    assert_true(propagation_try(f->p, &goal, SETTLED + 5000, &f->json));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coming_and_going),
        cmocka_unit_test(silence_takes_off_only_after_max_stale),
        cmocka_unit_test(the_mirror),
        cmocka_unit_test(loading_the_mirror),
        cmocka_unit_test(who_holds_a_history),
        cmocka_unit_test_setup_teardown(complete_only_with_everybody_and_the_own_bell, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_worker_of_another_history_has_not_applied_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(at_the_deadline_it_names_who_lags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(for_ever_is_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_known_at_once_or_not_yet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_redis_fails_over_it_takes_a_little_longer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_lost_subscription_is_not_trusted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
