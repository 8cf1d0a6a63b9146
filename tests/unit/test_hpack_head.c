// SPDX-License-Identifier: Apache-2.0
// Heads of answers over HTTP/2, read by a decoder that is as strict as a peer may be:
// it has the table that it has announced and not a byte more.
#include "common/http/hpack_head.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/h2_client.h"
#include "tests/support/hpack_decoder.h"
#include "tests/support/server_fixture.h"
#include "tests/support/test.h"

enum {
    WHOLE = H2_END_STREAM | H2_END_HEADERS,
    STATIC_ENTRIES = 61,
    ENTRIES = 64,
    TEXT = 20000,
    FRAME_MAX = 16384
};

// -- a connection -------------------------------------------------------------

struct peer {
    struct raw_client c;
    struct hpack_decoder d;
    unsigned stream;
    size_t block_len; // of the last head
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    fixture_open(f, 0, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static struct peer *open_peer(struct fixture *f)
{
    struct peer *p = xcalloc(1, sizeof(*p));
    fixture_connect(f, &p->c);
    h2_open(&p->c, -1);
    p->stream = 1;
    hpack_decoder_init(&p->d);
    return p;
}

static void close_peer(struct peer *p)
{
    raw_close(&p->c);
    free(p);
}

static void set_table(struct peer *p, uint32_t size)
{
    h2_send_setting(&p->c, H2_HEADER_TABLE, size);
    p->d.must_update = size < p->d.size;
    p->d.allowed = size;
}

// The head of the answer to the next request, decoded.
static struct slice head_of(struct peer *p, const char *path, struct slice extra)
{
    static struct buf block;
    block.len = 0;
    h2_request(&p->c, p->stream, "GET", path, WHOLE, extra);
    struct h2_frame f = h2_read_type(&p->c, H2_HEADERS, p->stream);
    assert_true(f.payload.len <= FRAME_MAX);
    buf_append(&block, f.payload.ptr, f.payload.len);
    while ((f.flags & H2_END_HEADERS) == 0) {
        f = h2_read(&p->c);
        assert_int_equal(f.type, H2_CONTINUATION);
        assert_int_equal(f.stream, p->stream);
        assert_true(f.payload.len <= FRAME_MAX);
        buf_append(&block, f.payload.ptr, f.payload.len);
    }
    p->stream += 2;
    p->block_len = block.len;
    return hpack_decode(&p->d, buf_slice(&block));
}

// What stands behind that line's name, which comes exactly once.
static struct slice line_of(struct slice head, const char *name)
{
    struct slice found = SLICE_NONE;
    while (head.len > 0) {
        struct slice value = slice_take(&head, '\n'), line_name;
        if (slice_starts_with(value, slice_of(name)) && value.ptr[strlen(name)] == ':') {
            line_name = slice_take(&value, ' ');
            assert_true(found.ptr == NULL && line_name.len == strlen(name) + 1);
            found = value;
        }
    }
    assert_non_null(found.ptr);
    return found;
}

static void assert_hello(struct slice head, char id[CALL_REQUEST_ID_LEN])
{
    assert_slice(line_of(head, ":status"), "200");
    assert_int_equal(line_of(head, "date").len, 29);
    assert_slice(line_of(head, "content-length"), "11");
    assert_slice(line_of(head, "content-type"), "text/plain");
    struct slice ids = line_of(head, "x-request-id");
    assert_true(slice_equal(line_of(head, "request-id"), ids));
    assert_int_equal(ids.len, CALL_REQUEST_ID_LEN);
    assert_true(slice_starts_with(ids, SLICE_LIT("req_cm_")));
    assert_memory_not_equal(ids.ptr, id, CALL_REQUEST_ID_LEN);
    memcpy(id, ids.ptr, CALL_REQUEST_ID_LEN);
}

// -- tests --------------------------------------------------------------------

static void what_comes_again_is_a_byte(void **state)
{
    struct peer *p = open_peer(*state);
    char id[CALL_REQUEST_ID_LEN] = "";
    assert_hello(head_of(p, "/hello", SLICE_NONE), id);
    size_t entries = p->d.count, first = p->block_len;
    assert_int_equal(entries, 3); // content-type and the names of the ids
    for (int i = 0; i < 100; i++) {
        assert_hello(head_of(p, "/hello", SLICE_NONE), id);
        assert_int_equal(p->d.count, entries);
        // Less a name and a value, and two names, for which there are two bytes now.
        assert_int_equal(p->block_len, first - (1 + 1 + 12 + 1 + 10) + 1 - 12 - 10);
    }
    close_peer(p);
}

static void other_answers_have_other_headers(void **state)
{
    static const struct {
        const char *path, *status;
        bool has_length;
    } answers[] = {{"/hello", "200", true},
                   {"/304", "304", false},
                   {"/204", "204", false},
                   {"/nowhere", "404", true},
                   {"/raw", "200", true}};
    struct peer *p = open_peer(*state);
    for (size_t i = 0; i < 50; i++) {
        size_t at = i * 7 % CM_ARRAY_LEN(answers);
        struct slice head = head_of(p, answers[at].path, SLICE_NONE);
        assert_slice(line_of(head, ":status"), answers[at].status);
        bool found = slice_contains_nocase(head, SLICE_LIT("content-length: "));
        assert_int_equal(found, answers[at].has_length);
        assert_int_equal(line_of(head, "x-request-id").len, CALL_REQUEST_ID_LEN);
        assert_true(line_of(head, "content-type").len > 0);
    }
    close_peer(p);
}

static void a_status_outside_the_static_table(void **state)
{
    struct peer *p = open_peer(*state);
    struct slice length = SLICE_LIT("\x0F\x0D\x07"
                                    "9999999");
    h2_request(&p->c, 1, "POST", "/echo", H2_END_HEADERS, length);
    struct h2_frame f = h2_read_type(&p->c, H2_HEADERS, 1);
    assert_slice(line_of(hpack_decode(&p->d, f.payload), ":status"), "413");
    close_peer(p);
}

// From none to more than the encoder ever uses, told at first or in the middle.
static void tables_of_every_size(void **state)
{
    char id[CALL_REQUEST_ID_LEN] = "";
    for (uint32_t size = 0; size < 400; size += 13) {
        struct peer *p = open_peer(*state);
        set_table(p, size);
        for (int i = 0; i < 3; i++)
            assert_hello(head_of(p, "/hello", SLICE_NONE), id);
        assert_true(p->d.bytes <= size);
        close_peer(p);
    }
}

static void a_table_that_changes(void **state)
{
    static const uint32_t sizes[] = {4096, 0, 64, 100000, 150, 0, 0, 4096, 4095, 1000, 30};
    struct peer *p = open_peer(*state);
    char id[CALL_REQUEST_ID_LEN] = "";
    for (size_t i = 0; i < CM_ARRAY_LEN(sizes); i++) {
        assert_hello(head_of(p, "/hello", SLICE_NONE), id);
        set_table(p, sizes[i]);
        assert_hello(head_of(p, "/hello", SLICE_NONE), id);
        (void)head_of(p, "/nowhere", SLICE_NONE);
    }
    close_peer(p);
}

// Twice between two heads: the smaller one may have emptied the table.
static void a_table_that_was_small_for_a_moment(void **state)
{
    struct peer *p = open_peer(*state);
    char id[CALL_REQUEST_ID_LEN] = "";
    assert_hello(head_of(p, "/hello", SLICE_NONE), id);
    set_table(p, 0);
    set_table(p, 4096);
    hpack_shrink(&p->d, 0);
    assert_hello(head_of(p, "/hello", SLICE_NONE), id);
    assert_hello(head_of(p, "/hello", SLICE_NONE), id);
    close_peer(p);
}

// More constants than the encoder remembers: the last ones are spelled.
static void more_constants_than_places(void **state)
{
    struct peer *p = open_peer(*state);
    for (int round = 0; round < 2; round++)
        for (unsigned i = 0; i < FIXTURE_CONSTANTS; i++) {
            char path[32], value[8];
            snprintf(path, sizeof(path), "/constant?%u", i);
            snprintf(value, sizeof(value), "%02u", i);
            assert_slice(line_of(head_of(p, path, SLICE_NONE), "x-constant"), value);
            assert_true(p->d.count <= HPACK_KNOWN_MAX);
        }
    assert_int_equal(p->d.count, HPACK_KNOWN_MAX);
    close_peer(p);
}

static void a_head_longer_than_a_frame(void **state)
{
    static char value[16300];
    struct peer *p = open_peer(*state);
    struct buf extra = {0};
    char id[CALL_REQUEST_ID_LEN] = "";
    memset(value, 'x', sizeof(value) - 1);
    h2_put_field(&extra, "x-test", value);
    for (int i = 0; i < 2; i++) {
        assert_slice(line_of(head_of(p, "/header", buf_slice(&extra)), "x-test"), value);
        assert_true(p->block_len > FRAME_MAX);
        assert_hello(head_of(p, "/hello", SLICE_NONE), id);
    }
    buf_fini(&extra);
    close_peer(p);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_again_is_a_byte),
        TEST(other_answers_have_other_headers),
        TEST(a_status_outside_the_static_table),
        TEST(tables_of_every_size),
        TEST(a_table_that_changes),
        TEST(more_constants_than_places),
        TEST(a_table_that_was_small_for_a_moment),
        TEST(a_head_longer_than_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
