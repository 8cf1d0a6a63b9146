// SPDX-License-Identifier: Apache-2.0
#include "common/model/oplog.h"

#include <string.h>

#include "tests/support/test.h"

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct secret_digest some_key(void)
{
    struct secret_digest key;
    assert_true(secret_digest_parse(SLICE_LIT(HEX64), &key));
    return key;
}

static void write_and_read_back(void **state)
{
    (void)state;
    struct buf ops = {NULL, 0, 0};
    struct secret_digest key = some_key();
    oplog_add_model(&ops, SLICE_LIT("a/b"), SLICE_LIT("{\"id\":\"a b\"}"));
    oplog_add_remove(&ops, SLICE_LIT("c/d"));
    oplog_add_key(&ops, &key, false);
    oplog_add_key(&ops, &key, true);
    assert_slice(buf_slice(&ops), "M a/b {\"id\":\"a b\"}\nX c/d\nK " HEX64 "\nD " HEX64 "\n");
    assert_true(oplog_valid(buf_slice(&ops)));

    struct slice rest = buf_slice(&ops);
    struct oplog_op op;
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_int_equal(op.kind, OPLOG_MODEL);
    assert_slice(op.id, "a/b");
    assert_slice(op.record, "{\"id\":\"a b\"}");
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_int_equal(op.kind, OPLOG_REMOVE);
    assert_slice(op.id, "c/d");
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_int_equal(op.kind, OPLOG_KEY);
    assert_true(secret_digest_equal(&op.key, &key));
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_int_equal(op.kind, OPLOG_DENY);
    assert_int_equal(oplog_next(&rest, &op), 0);
    buf_fini(&ops);
}

static void empty_is_valid(void **state)
{
    (void)state;
    assert_true(oplog_valid(SLICE_NONE));
    assert_true(oplog_valid(SLICE_LIT("")));
}

static void garbled_lines(void **state)
{
    static const char *const bad[] = {"\n",
                                      "M",
                                      "M a/b {}",
                                      "M a/b\n",
                                      "M a/b \n",
                                      "M  {}\n",
                                      "X\n",
                                      "X \n",
                                      "X a b\n",
                                      "m a/b {}\n",
                                      "Ma/b {}",
                                      "K abcd\n",
                                      "K " HEX64 "0\n",
                                      "K " HEX64 " \n",
                                      "D " HEX64,
                                      "Q a\n",
                                      "X a\n\n",
                                      "X a\nK " HEX64 "",
                                      "K g" HEX64 "\nX a"};
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(bad); i++)
        if (oplog_valid(slice_of(bad[i])))
            fail_msg("'%s' is valid", bad[i]);
}

static void garbled_line_is_not_taken(void **state)
{
    (void)state;
    struct slice rest = SLICE_LIT("X a\nbad");
    struct oplog_op op;
    assert_int_equal(oplog_next(&rest, &op), 1);
    assert_int_equal(oplog_next(&rest, &op), -1);
    assert_slice(rest, "bad");
    assert_int_equal(op.kind, OPLOG_REMOVE); // unchanged
}

static bool parse(const char *id, const char *change, const char *previous, const char *ops)
{
    struct oplog_entry e, before;
    memset(&e, 0x5a, sizeof(e));
    memcpy(&before, &e, sizeof(e));
    bool ok = oplog_entry_parse(slice_of(id), slice_of(change), slice_of(previous), slice_of(ops),
                                SLICE_NONE, &e);
    if (!ok)
        assert_memory_equal(&e, &before, sizeof(e));
    return ok;
}

static void entries(void **state)
{
    static const char c[] = "00000000000000c7", p[] = "00000000000000c6";
    (void)state;
    struct oplog_entry e;
    assert_true(oplog_entry_parse(SLICE_LIT("42-0"), slice_of(c), slice_of(p), SLICE_LIT("X a\n"),
                                  SLICE_NONE, &e));
    assert_true(e.revision == 42 && e.part == 0 && !e.more);
    assert_int_equal(e.change, 0xc7);
    assert_int_equal(e.previous, 0xc6);
    assert_slice(e.ops, "X a\n");
    assert_true(parse("1-0", c, p, ""));
    assert_true(parse("9007199254740991-0", c, p, ""));
    static const char *const bad_ids[] = {"",    "42",   "42-",   "42-01", "-0",
                                          "0-0", "-1-0", "042-0", "x-0",   "9007199254740992-0"};
    for (size_t i = 0; i < CM_ARRAY_LEN(bad_ids); i++)
        assert_false(parse(bad_ids[i], c, p, ""));
    assert_false(parse("1-0", "", p, ""));
    assert_false(parse("1-0", NULL, p, ""));
    assert_false(parse("1-0", c, "0000000000000000", ""));
    assert_false(parse("1-0", c, p, NULL));
}

static void parts(void **state)
{
    struct slice c = SLICE_LIT("00000000000000c7"), p = SLICE_LIT("00000000000000c6");
    struct slice ops = SLICE_LIT("X a\n");
    (void)state;
    struct oplog_entry e;
    assert_true(oplog_entry_parse(SLICE_LIT("42-3"), c, p, SLICE_NONE, ops, &e));
    assert_true(e.revision == 42 && e.part == 3 && e.more);
    assert_slice(e.ops, "X a\n");
    assert_true(oplog_entry_parse(SLICE_LIT("42-16383"), c, p, ops, SLICE_NONE, &e));
    assert_true(e.part == OPLOG_PARTS_MAX - 1 && !e.more);
    assert_false(oplog_entry_parse(SLICE_LIT("42-16384"), c, p, ops, SLICE_NONE, &e));
    assert_false(oplog_entry_parse(SLICE_LIT("42-1"), c, p, ops, ops, &e)); // which?
    assert_false(oplog_entry_parse(SLICE_LIT("42-1"), c, p, SLICE_NONE, SLICE_NONE, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_read_back),
        cmocka_unit_test(empty_is_valid),
        cmocka_unit_test(garbled_lines),
        cmocka_unit_test(garbled_line_is_not_taken),
        cmocka_unit_test(entries),
        cmocka_unit_test(parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
