// SPDX-License-Identifier: Apache-2.0
// Who takes whom off the roster: deaths, rolls, and deaths in a row.
#include <stdio.h>
#include <string.h>

#include "admin/roster.h"
#include "tests/support/test.h"

static void hear(struct roster *r, enum ack_kind kind, const char *id, const char *replaces)
{
    struct ack ack = {.kind = kind, .max_stale_s = 3600};
    snprintf(ack.id, sizeof(ack.id), "%s", id);
    snprintf(ack.replaces, sizeof(ack.replaces), "%s", replaces);
    roster_on_ack(r, &ack, 1000);
}

// The ids in order, with blanks between.
static void expect(const struct roster *r, const char *ids)
{
    char all[256] = "";
    for (size_t i = 0; i < roster_count(r); i++) {
        strcat(all, i > 0 ? " " : "");
        strcat(all, roster_at(r, i)->ack.id);
    }
    assert_string_equal(all, ids);
}

static void test_the_dead_are_replaced(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    hear(r, ACK_HELLO, "aaaaaaaa-0-1", "");
    hear(r, ACK_HELLO, "aaaaaaaa-1-1", "");
    hear(r, ACK_HELLO, "aaaaaaaa-0-2", "aaaaaaaa-0-1");
    expect(r, "aaaaaaaa-0-2 aaaaaaaa-1-1");
    roster_destroy(r);
}

static void test_one_that_died_before_its_hello_is_skipped(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    hear(r, ACK_HELLO, "aaaaaaaa-0-9", "");
    hear(r, ACK_HELLO, "aaaaaaaa-1-3", "");
    hear(r, ACK_HELLO, "bbbbbbbb-0-1", "");
    hear(r, ACK_HELLO, "aaaaaaaa-0-11", "aaaaaaaa-0-10"); // 10 was never heard
    expect(r, "aaaaaaaa-0-11 aaaaaaaa-1-3 bbbbbbbb-0-1");
    roster_destroy(r);
}

// The new one starts beside the old one, which still serves and must be counted.
static void test_a_roll(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    hear(r, ACK_HELLO, "aaaaaaaa-0-2", "aaaaaaaa-0-1");
    hear(r, ACK_HELLO, "aaaaaaaa-0-3", "aaaaaaaa-0-1");
    expect(r, "aaaaaaaa-0-2 aaaaaaaa-0-3");
    hear(r, ACK_STATE, "aaaaaaaa-0-3", "aaaaaaaa-0-1");
    expect(r, "aaaaaaaa-0-2 aaaaaaaa-0-3");
    // Killed in its drain it says no bye; its successor's next state says it.
    hear(r, ACK_STATE, "aaaaaaaa-0-3", "aaaaaaaa-0-2");
    expect(r, "aaaaaaaa-0-3");
    // What it had sent before comes late: it goes again with the next state.
    hear(r, ACK_STATE, "aaaaaaaa-0-2", "aaaaaaaa-0-1");
    expect(r, "aaaaaaaa-0-2 aaaaaaaa-0-3");
    hear(r, ACK_STATE, "aaaaaaaa-0-3", "aaaaaaaa-0-2");
    expect(r, "aaaaaaaa-0-3");
    roster_destroy(r);
}

static void test_ids_of_another_form(void **state)
{
    (void)state;
    struct roster *r = roster_create();
    hear(r, ACK_HELLO, "old", "");
    hear(r, ACK_HELLO, "x-1", "");
    hear(r, ACK_HELLO, "x-y", "");
    hear(r, ACK_HELLO, "new", "old");
    expect(r, "new x-1 x-y");
    hear(r, ACK_STATE, "new", "x-y");
    expect(r, "new x-1");
    roster_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_dead_are_replaced),
        cmocka_unit_test(test_one_that_died_before_its_hello_is_skipped),
        cmocka_unit_test(test_a_roll),
        cmocka_unit_test(test_ids_of_another_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
