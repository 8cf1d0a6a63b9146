// SPDX-License-Identifier: Apache-2.0
#include "common/model/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/model/listing.h"
#include "tests/support/models.h"
#include "tests/support/test.h"

// ---- helpers -------------------------------------------------------------

static void put(struct catalog *c, const char *id, int64_t created, const char *name)
{
    catalog_put(c, models_make(id, created, name, true));
}

static struct buf plain_of(const struct view *v)
{
    struct buf text = {0};
    for (size_t i = 0; i < v->page_count; i++)
        buf_append_slice(&text, v->plain[i]);
    assert_int_equal(text.len, v->body.length);
    return text;
}

static struct slice body_of(const struct catalog *c, const char *id)
{
    return catalog_find(c, slice_of(id))->body;
}

// The view shows exactly these ids in this order.
static void assert_list(struct catalog *c, const char *const *ids, size_t count)
{
    struct view *v = catalog_view(c);
    struct buf want = {0};
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_char(&want, ',');
        buf_append_slice(&want, body_of(c, ids[i]));
    }
    struct buf got = plain_of(v);
    if (!slice_equal(buf_slice(&got), buf_slice(&want)))
        fail_msg("got %s\nwant %s", buf_cstr(&got), buf_cstr(&want));
    assert_int_equal(v->model_count, count);
    if (count > 0) {
        assert_true(slice_equal(v->body.first_id_json, catalog_find(c, slice_of(ids[0]))->id_json));
        assert_true(
            slice_equal(v->body.last_id_json, catalog_find(c, slice_of(ids[count - 1]))->id_json));
    }
    buf_fini(&got);
    buf_fini(&want);
}

#define ASSERT_LIST(c, ...)                                                                        \
    assert_list(c, (const char *const[]){__VA_ARGS__},                                             \
                CM_ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static bool has_page(const struct view *v, const struct page *p)
{
    for (size_t i = 0; i < v->page_count; i++)
        if (v->pages[i] == p)
            return true;
    return false;
}

// Pages of now that are not in then.
static size_t fresh_pages(const struct view *then, const struct view *now)
{
    size_t fresh = 0;
    for (size_t i = 0; i < now->page_count; i++)
        fresh += !has_page(then, now->pages[i]);
    return fresh;
}

// Everything that a client can see of two views is the same.
static void assert_same_view(const struct view *a, const struct view *b)
{
    assert_true(digest_equal(a->body.digest, b->body.digest));
    assert_int_equal(a->body.crc, b->body.crc);
    assert_int_equal(a->page_count, b->page_count);
    for (size_t i = 0; i < a->page_count; i++) {
        assert_true(slice_equal(a->plain[i], b->plain[i]));
        assert_true(slice_equal(a->packed[i], b->packed[i]));
    }
    assert_true(slice_equal(a->frame.plain.closing, b->frame.plain.closing));
    assert_true(slice_equal(a->frame.gzip.closing, b->frame.gzip.closing));
    assert_memory_equal(a->frame.gzip.etag.text, b->frame.gzip.etag.text, ETAG_MAX);
}

static struct catalog *numbered(unsigned count)
{
    struct catalog *c = catalog_create();
    for (unsigned n = 0; n < count; n++)
        catalog_put(c, models_make_numbered(n));
    return c;
}

// A record of that numbered model with another name.
static void edit(struct catalog *c, unsigned n, const char *name)
{
    struct model *m = models_make_numbered(n);
    char id[64];
    snprintf(id, sizeof(id), "%.*s", SLICE_FMT(m->id));
    put(c, id, m->created, name);
    model_unref(m);
}

// ---- tests ---------------------------------------------------------------

static void order(void **state)
{
    struct catalog *c = catalog_create();
    (void)state;
    assert_list(c, NULL, 0);
    put(c, "b/x", 20, "1");
    put(c, "a/x", 20, "2");
    put(c, "a/x-", 20, "3");
    put(c, "z/x", 10, "4");
    put(c, "a/Z", 20, "5"); // bytewise: capitals first
    ASSERT_LIST(c, "z/x", "a/Z", "a/x", "a/x-", "b/x");
    put(c, "z/x", 30, "moved");
    ASSERT_LIST(c, "a/Z", "a/x", "a/x-", "b/x", "z/x");
    put(c, "a/x", 0, "moved");
    ASSERT_LIST(c, "a/x", "a/Z", "a/x-", "b/x", "z/x");
    assert_true(catalog_remove(c, SLICE_LIT("a/Z")));
    assert_false(catalog_remove(c, SLICE_LIT("a/Z")));
    ASSERT_LIST(c, "a/x", "a/x-", "b/x", "z/x");
    assert_int_equal(catalog_count(c), 4);
    catalog_destroy(c);
}

static void inactive_is_found_but_not_listed(void **state)
{
    struct catalog *c = catalog_create();
    (void)state;
    put(c, "a/a", 1, "A");
    catalog_put(c, models_make("a/b", 2, "B", false));
    ASSERT_LIST(c, "a/a");
    assert_int_equal(catalog_count(c), 2);
    assert_false(catalog_find(c, SLICE_LIT("a/b"))->active);
    assert_null(catalog_find(c, SLICE_LIT("a/c")));
    put(c, "a/b", 2, "B");
    ASSERT_LIST(c, "a/a", "a/b");
    catalog_put(c, models_make("a/a", 1, "A", false));
    ASSERT_LIST(c, "a/b");
    assert_true(catalog_remove(c, SLICE_LIT("a/a")));
    ASSERT_LIST(c, "a/b");
    catalog_destroy(c);
}

static void no_change_no_view(void **state)
{
    struct catalog *c = numbered(300);
    struct view *v = catalog_view(c);
    (void)state;
    assert_ptr_equal(catalog_view(c), v);
    assert_true(catalog_view_is_current(c, v));
    catalog_put(c, models_make_numbered(7)); // the same again
    catalog_put(c, models_make("x/off", 5, "off", false));
    catalog_put(c, models_make("x/off", 6, "still off", false));
    assert_true(catalog_remove(c, SLICE_LIT("x/off")));
    assert_true(catalog_view_is_current(c, v));
    assert_ptr_equal(catalog_view(c), v);
    assert_false(catalog_render_one(c));

    uint64_t serial = v->serial;
    edit(c, 7, "other");
    assert_false(catalog_view_is_current(c, v));
    assert_true(catalog_view(c)->serial != serial);
    assert_true(serial != 0);
    catalog_destroy(c);
}

static void one_change_renders_one_page(void **state)
{
    struct catalog *c = numbered(10000);
    struct view *then = view_ref(catalog_view(c));
    (void)state;
    for (unsigned n = 0; n < 10000; n += 17) {
        edit(c, n, "edited");
        struct view *now = catalog_view(c);
        if (fresh_pages(then, now) != 1 || now->page_count != then->page_count)
            fail_msg("%u: %zu pages rendered", n, fresh_pages(then, now));
        view_unref(then);
        then = view_ref(now);
    }
    for (unsigned n = 0; n < 10000; n += 41) { // removal may join two, addition split one
        struct model *m = models_make_numbered(n);
        assert_true(catalog_remove(c, m->id));
        assert_true(fresh_pages(then, catalog_view(c)) <= 1);
        view_unref(then);
        then = view_ref(catalog_view(c));
        catalog_put(c, m);
        assert_true(fresh_pages(then, catalog_view(c)) <= 2);
        view_unref(then);
        then = view_ref(catalog_view(c));
    }
    view_unref(then);
    catalog_destroy(c);
}

static void a_copy_shares_all_that_is_the_same(void **state)
{
    struct catalog *c = numbered(10000);
    struct view *then = view_ref(catalog_view(c));
    struct catalog *copy = catalog_copy(c);
    (void)state;
    assert_true(catalog_view_is_current(copy, then));
    struct model *m = models_make_numbered(77);
    assert_true(catalog_remove(copy, m->id));
    assert_true(fresh_pages(then, catalog_view(copy)) <= 1);
    assert_non_null(catalog_find(c, m->id)); // the one is not the other
    assert_true(catalog_view_is_current(c, then));
    model_unref(m);
    view_unref(then);
    size_t calls = 1;
    while (!catalog_destroy_some(c))
        calls++;
    assert_true(calls > 3); // 10,000 models are not freed at once
    assert_int_equal(catalog_count(copy), 9999);
    assert_int_equal(catalog_view(copy)->model_count, 9999);
    catalog_destroy(copy);
}

static void pages_are_near_their_mean(void **state)
{
    struct catalog *c = numbered(10000);
    struct view *v = catalog_view(c);
    (void)state;
    assert_in_range(v->page_count, 10000 / LISTING_RUN_MEAN / 2, 10000 / LISTING_RUN_MEAN * 2);
    for (size_t i = 0; i < v->page_count; i++)
        assert_in_range(v->pages[i]->count, 1, LISTING_RUN_MEAN * 16);
    catalog_destroy(c);
}

static void rendering_can_be_spread(void **state)
{
    struct catalog *c = numbered(2000);
    size_t rendered = 0;
    (void)state;
    while (catalog_render_one(c))
        rendered++;
    assert_int_equal(rendered, catalog_view(c)->page_count);
    assert_false(catalog_render_one(c));
    struct view *then = view_ref(catalog_view(c));
    edit(c, 3, "x");
    edit(c, 1999, "x");
    size_t left = 0;
    while (catalog_render_one(c))
        left++;
    assert_int_equal(left, fresh_pages(then, catalog_view(c)));
    assert_in_range(left, 1, 2);
    view_unref(then);
    catalog_destroy(c);
}

static void a_pinned_view_lives_on(void **state)
{
    struct catalog *c = numbered(500);
    struct view *v = view_ref(catalog_view(c));
    struct buf before = plain_of(v);
    (void)state;
    for (unsigned n = 0; n < 500; n += 2)
        edit(c, n, "edited");
    catalog_view(c);
    for (unsigned n = 1; n < 500; n += 2) {
        struct model *m = models_make_numbered(n);
        assert_true(catalog_remove(c, m->id));
        model_unref(m);
    }
    catalog_view(c);
    catalog_destroy(c);
    struct buf after = plain_of(v);
    assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
    buf_fini(&before);
    buf_fini(&after);
    view_unref(v);
}

static void digest_follows_content(void **state)
{
    struct catalog *c = numbered(200);
    struct digest start = catalog_view(c)->body.digest;
    (void)state;
    edit(c, 5, "edited");
    assert_false(digest_equal(catalog_view(c)->body.digest, start));
    edit(c, 5, "Model 5");
    assert_true(digest_equal(catalog_view(c)->body.digest, start));
    put(c, "x/y", 1, "new");
    assert_false(digest_equal(catalog_view(c)->body.digest, start));
    catalog_put(c, models_make("x/y", 1, "new", false));
    assert_true(digest_equal(catalog_view(c)->body.digest, start));
    catalog_destroy(c);
}

// Upwards every model goes behind all others, downwards before them.
static void both_ways_lead_to_the_same_pages(void **state)
{
    struct catalog *up = catalog_create();
    struct catalog *down = catalog_create();
    (void)state;
    for (unsigned n = 0; n < 3000; n++) {
        char id[2][32];
        snprintf(id[0], sizeof(id[0]), "v/m%04u", n);
        snprintf(id[1], sizeof(id[1]), "v/m%04u", 2999 - n);
        put(up, id[0], 1, "M");
        put(down, id[1], 1, "M");
    }
    assert_same_view(catalog_view(up), catalog_view(down));
    catalog_destroy(up);
    catalog_destroy(down);
}

// ---- random histories ----------------------------------------------------

enum { IDS = 700 };

struct fact {
    bool known, active;
    int64_t created;
    unsigned edition;
};

static struct model *make_fact(unsigned n, const struct fact *f)
{
    char id[32];
    char name[32];
    snprintf(id, sizeof(id), "v/m%u", n);
    snprintf(name, sizeof(name), "edition %u", f->edition);
    return models_make(id, f->created, name, f->active);
}

static void change(struct catalog *c, struct fact *facts)
{
    unsigned n = (unsigned)random() % IDS;
    struct fact *f = &facts[n];
    if (f->known && random() % 3 == 0) {
        char id[32];
        snprintf(id, sizeof(id), "v/m%u", n);
        assert_true(catalog_remove(c, slice_of(id)));
        f->known = false;
        return;
    }
    if (!f->known || random() % 4 == 0)
        f->created = random() % 40;
    f->known = true;
    f->active = random() % 5 != 0;
    f->edition = (unsigned)random() % 3;
    catalog_put(c, make_fact(n, f));
}

static int compare_models(const void *a, const void *b)
{
    const struct model *x = *(struct model *const *)a;
    const struct model *y = *(struct model *const *)b;
    if (x->created != y->created)
        return x->created < y->created ? -1 : 1;
    return slice_compare(x->id, y->id);
}

// What the list must be, made from the facts alone.
static struct buf list_facts(const struct fact *facts)
{
    struct model *models[IDS];
    size_t count = 0;
    for (unsigned n = 0; n < IDS; n++)
        if (facts[n].known && facts[n].active)
            models[count++] = make_fact(n, &facts[n]);
    qsort(models, count, sizeof(models[0]), compare_models);
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_char(&text, ',');
        buf_append_slice(&text, models[i]->body);
        model_unref(models[i]);
    }
    return text;
}

// The same content by another way: in order of ids, backwards.
static struct catalog *other_history(const struct fact *facts)
{
    struct catalog *c = catalog_create();
    for (unsigned n = IDS; n-- > 0;)
        if (facts[n].known)
            catalog_put(c, make_fact(n, &facts[n]));
    return c;
}

static void any_history(void **state)
{
    static struct fact facts[IDS];
    struct catalog *c = catalog_create();
    (void)state;
    srandom(3);
    for (int round = 0; round < 150; round++) {
        for (long steps = random() % 60; steps >= 0; steps--)
            change(c, facts);
        struct view *v = catalog_view(c);
        struct buf want = list_facts(facts);
        struct buf got = plain_of(v);
        assert_true(slice_equal(buf_slice(&got), buf_slice(&want)));
        struct catalog *other = other_history(facts);
        assert_same_view(v, catalog_view(other));
        catalog_destroy(other);
        buf_fini(&want);
        buf_fini(&got);
    }
    for (unsigned n = 0; n < IDS; n++) { // down to nothing
        char id[32];
        snprintf(id, sizeof(id), "v/m%u", n);
        assert_int_equal(catalog_remove(c, slice_of(id)), facts[n].known);
        facts[n].known = false;
        if (n % 50 == 0)
            catalog_view(c);
    }
    assert_list(c, NULL, 0);
    assert_int_equal(catalog_view(c)->page_count, 0);
    assert_true(digest_equal(catalog_view(c)->body.digest, (struct digest){0}));
    catalog_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(inactive_is_found_but_not_listed),
        cmocka_unit_test(no_change_no_view),
        cmocka_unit_test(one_change_renders_one_page),
        cmocka_unit_test(a_copy_shares_all_that_is_the_same),
        cmocka_unit_test(pages_are_near_their_mean),
        cmocka_unit_test(rendering_can_be_spread),
        cmocka_unit_test(a_pinned_view_lives_on),
        cmocka_unit_test(digest_follows_content),
        cmocka_unit_test(both_ways_lead_to_the_same_pages),
        cmocka_unit_test(any_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
