// SPDX-License-Identifier: Apache-2.0
#include "common/model/ack.h"

#include <string.h>

#include "tests/support/test.h"

static const struct ack full = {.kind = ACK_HELLO,
                                .id = "0011aabb-3-17",
                                .replaces = "0011aabb-3-16",
                                .host = "h\"ost",
                                .slot = 3,
                                .epoch = 0xe1,
                                .revision = 42,
                                .state = "suspect",
                                .reason = "went_back",
                                .confirmed_ms = 1716239400000,
                                .sent_ms = -5, // a wall clock may be anywhere
                                .max_stale_s = 3600,
                                .rejected = 2,
                                .poisoned = 1,
                                .from_disk = true,
                                .saved_ms = 1716239399000,
                                .save_errors = 3};
static const char full_text[] =
    "{\"kind\":\"hello\",\"id\":\"0011aabb-3-17\",\"replaces\":\"0011aabb-3-16\","
    "\"host\":\"h\\\"ost\",\"slot\":3,\"epoch\":\"00000000000000e1\",\"revision\":42,"
    "\"state\":\"suspect\",\"reason\":\"went_back\",\"confirmed_ms\":1716239400000,"
    "\"sent_ms\":-5,\"max_stale_s\":3600,\"rejected\":2,\"poisoned\":1,\"from_disk\":true,"
    "\"saved_ms\":1716239399000,\"save_errors\":3}";

static bool parse(const char *text, struct ack *out)
{
    struct ack before;
    memset(out, 0x5a, sizeof(*out));
    memcpy(&before, out, sizeof(before));
    bool ok = ack_parse(slice_of(text), out);
    if (!ok)
        assert_memory_equal(out, &before, sizeof(before));
    return ok;
}

static void assert_same(const struct ack *a, const struct ack *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->replaces, b->replaces);
    assert_string_equal(a->host, b->host);
    assert_int_equal(a->slot, b->slot);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->revision, b->revision);
    assert_string_equal(a->state, b->state);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->confirmed_ms, b->confirmed_ms);
    assert_int_equal(a->sent_ms, b->sent_ms);
    assert_int_equal(a->max_stale_s, b->max_stale_s);
    assert_int_equal(a->rejected, b->rejected);
    assert_int_equal(a->poisoned, b->poisoned);
    assert_int_equal(a->from_disk, b->from_disk);
    assert_int_equal(a->saved_ms, b->saved_ms);
    assert_int_equal(a->save_errors, b->save_errors);
}

static void goes_both_ways(void **state)
{
    (void)state;
    struct buf text = {NULL, 0, 0};
    struct ack back, other = full;
    ack_write(&text, &full);
    assert_slice(buf_slice(&text), full_text);
    assert_true(parse(buf_cstr(&text), &back));
    assert_same(&back, &full);

    other.kind = ACK_BYE;
    other.epoch = 0; // no catalog yet
    other.replaces[0] = '\0';
    buf_clear(&text);
    ack_write(&text, &other);
    assert_true(parse(buf_cstr(&text), &back));
    assert_same(&back, &other);
    buf_fini(&text);
}

// full_text with one piece replaced.
static bool parse_with(const char *piece, const char *instead)
{
    struct ack a;
    struct buf text = {NULL, 0, 0};
    const char *at = strstr(full_text, piece);
    assert_non_null(at);
    buf_append(&text, full_text, (size_t)(at - full_text));
    buf_append_str(&text, instead);
    buf_append_str(&text, at + strlen(piece));
    bool ok = parse(buf_cstr(&text), &a);
    buf_fini(&text);
    return ok;
}

static void unknown_members_are_passed_over(void **state)
{
    (void)state;
    assert_true(parse_with("\"slot\":3", "\"slot\":3,\"new\":[1]"));
}

static void anything_else_is_no_ack(void **state)
{
    (void)state;
    struct ack a;
    assert_false(parse("", &a));
    assert_false(parse("{}", &a));
    assert_false(parse("[]", &a));
    assert_false(parse("nonsense", &a));
    assert_false(parse_with("hello", "hallo"));
    assert_false(parse_with("\"hello\"", "1"));
    assert_false(parse_with("0011aabb-3-17", ""));
    assert_false(parse_with("0011aabb-3-17", "0123456789012345678901234567890123456789012345678"));
    assert_false(parse_with("\"0011aabb-3-17\"", "17"));
    assert_false(parse_with("\"slot\":3", "\"slot\":-3"));
    assert_false(parse_with("\"slot\":3", "\"slot\":3.0"));
    assert_false(parse_with("\"slot\":3,", ""));
    assert_false(parse_with("00000000000000e1", "0000000000000000"));
    assert_false(parse_with("00000000000000e1", "e1"));
    assert_false(parse_with("\"went_back\"", "null"));
    assert_false(parse_with("\"rejected\":2", "\"rejected\":2,\"rejected\":2"));
    assert_false(parse_with("\"from_disk\":true", "\"from_disk\":1"));
    assert_false(parse_with("\"from_disk\":true,", ""));
    assert_false(parse_with("3}", "3} x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_both_ways),
        cmocka_unit_test(unknown_members_are_passed_over),
        cmocka_unit_test(anything_else_is_no_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
