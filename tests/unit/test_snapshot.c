// SPDX-License-Identifier: Apache-2.0
#include "services/snapshot.h"

#include <string.h>

#include "tests/support/test.h"

static const char store[] = "{cm}:0:bell";

static struct snapshot_head head(void)
{
    return (struct snapshot_head){
        .at = {.epoch = 0xe1, .revision = 42, .change = 0xc1, .digest = {1, 2}, .models = 2},
        .confirmed = {
            .boot_id = "41bd0764-93d4-4673-9bd5-f11f7fa5d0e2", .boot_ms = 7, .wall_ms = 9}};
}

static void write(struct buf *out, const struct snapshot_record *records, size_t count)
{
    struct snapshot_head h = head();
    buf_clear(out);
    snapshot_begin(out, store, &h);
    for (size_t i = 0; i < count; i++)
        snapshot_add(out, &records[i]);
    snapshot_end(out);
}

static void comes_back_as_it_was(void **state)
{
    (void)state;
    const struct snapshot_record in[] = {
        {SNAPSHOT_MODEL, SLICE_LIT("v/a"), SLICE_LIT("{\"id\":\"v/a\"}")},
        {SNAPSHOT_REFUSED, SLICE_LIT("v/ \n"), SLICE_LIT("any\nbytes\0")},
        {SNAPSHOT_GONE, SLICE_LIT("v/c"), SLICE_LIT("")},
    };
    struct buf text = {.ptr = NULL};
    struct snapshot_head h;
    struct snapshot_record r;
    struct slice rest;
    write(&text, in, CM_ARRAY_LEN(in));
    assert_int_equal(snapshot_open(buf_slice(&text), store, &h, &rest), SNAPSHOT_OK);
    assert_int_equal(h.at.epoch, 0xe1);
    assert_int_equal(h.at.revision, 42);
    assert_int_equal(h.at.change, 0xc1);
    assert_int_equal(h.at.models, 2);
    assert_true(digest_equal(h.at.digest, head().at.digest));
    assert_string_equal(h.confirmed.boot_id, head().confirmed.boot_id);
    assert_int_equal(h.confirmed.boot_ms, 7);
    assert_int_equal(h.confirmed.wall_ms, 9);
    for (size_t i = 0; i < CM_ARRAY_LEN(in); i++) {
        assert_int_equal(snapshot_next(&rest, &r), 1);
        assert_int_equal(r.kind, in[i].kind);
        assert_true(slice_equal(r.id, in[i].id) && slice_equal(r.record, in[i].record));
    }
    assert_int_equal(snapshot_next(&rest, &r), 0);
    buf_fini(&text);
}

static void every_bit_counts(void **state)
{
    (void)state;
    const struct snapshot_record in = {SNAPSHOT_MODEL, SLICE_LIT("v/a"), SLICE_LIT("{}")};
    struct buf text = {.ptr = NULL};
    struct snapshot_head h;
    struct slice rest;
    write(&text, &in, 1);
    for (size_t i = 0; i < text.len * 8; i++) {
        text.ptr[i / 8] ^= (char)(1 << i % 8);
        assert_int_equal(snapshot_open(buf_slice(&text), store, &h, &rest), SNAPSHOT_DAMAGED);
        text.ptr[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(snapshot_open(slice_make(text.ptr, len), store, &h, &rest),
                         SNAPSHOT_DAMAGED);
    buf_append_char(&text, '\n');
    assert_int_equal(snapshot_open(buf_slice(&text), store, &h, &rest), SNAPSHOT_DAMAGED);
    buf_fini(&text);
}

static enum snapshot_status status_of(const char *text)
{
    struct buf bytes = {.ptr = NULL};
    struct snapshot_head h;
    struct slice rest;
    buf_append_str(&bytes, text);
    snapshot_end(&bytes);
    enum snapshot_status status = snapshot_open(buf_slice(&bytes), store, &h, &rest);
    buf_fini(&bytes);
    return status;
}

static void what_is_not_ours_is_told_apart(void **state)
{
    (void)state;
    struct buf text = {.ptr = NULL};
    struct snapshot_head h;
    struct slice rest;
    write(&text, NULL, 0);
    assert_int_equal(snapshot_open(buf_slice(&text), "{cm}:1:bell", &h, &rest),
                     SNAPSHOT_OTHER_STORE);
    assert_int_equal(snapshot_open(buf_slice(&text), "{cm2}:0:bell", &h, &rest),
                     SNAPSHOT_OTHER_STORE);
    assert_int_equal(status_of("cm-models snapshot 2 {cm}:0:bell\n"), SNAPSHOT_OTHER_FORMAT);
    assert_int_equal(status_of("cm-models snapshot 1 {cm}:0:bell\n"), SNAPSHOT_DAMAGED);
    assert_int_equal(status_of("something else\n"), SNAPSHOT_DAMAGED);
    assert_int_equal(status_of(""), SNAPSHOT_DAMAGED);
    buf_fini(&text);
}

static void records_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const texts[] = {"M 3 2\nv/a{}",
                                        "M 3 2\nv/a{}x\n",
                                        "M 0 2\n{}\n",
                                        "Q 3 2\nv/a{}\n",
                                        "M 3\nv/a{}\n",
                                        "M 3 99\nv/a{}\n",
                                        "M 99999999999999999999 1\nx\n",
                                        "\n",
                                        "M 3 2 \nv/a{}\n"};
    for (size_t i = 0; i < CM_ARRAY_LEN(texts); i++) {
        struct slice rest = slice_of(texts[i]);
        struct snapshot_record r;
        assert_int_equal(snapshot_next(&rest, &r), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(what_is_not_ours_is_told_apart),
        cmocka_unit_test(records_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
