// SPDX-License-Identifier: Apache-2.0
#include "common/model/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/inflate.h"
#include "tests/support/models.h"
#include "tests/support/test.h"

// ---- helpers -------------------------------------------------------------

#define OBJECT_REST(name, created, created_at, vendor)                                             \
    ",\"object\":\"model\",\"type\":\"model\",\"display_name\":\"" name "\",\"created\":" created  \
    ",\"created_at\":\"" created_at "\",\"owned_by\":\"" vendor "\",\"context_length\":65536,"     \
    "\"architecture\":{\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"]},"         \
    "\"capabilities\":{\"tools\":true}"
#define FLASH_REST OBJECT_REST("Flash", "1716239400", "2024-05-20T21:10:00+00:00", "deepseek")
#define SONNET_REST OBJECT_REST("Sonnet", "1716239401", "2024-05-20T21:10:01+00:00", "anthropic")
#define LIST(data, first, last)                                                                    \
    "{\"object\":\"list\",\"data\":[" data "],\"has_more\":false,\"first_id\":" first              \
    ",\"last_id\":" last "}"

static struct catalog *two_models(void)
{
    struct catalog *c = catalog_create();
    catalog_put(c, models_make("anthropic/sonnet", 1716239401, "Sonnet", true));
    catalog_put(c, models_make("deepseek/flash", 1716239400, "Flash", true));
    catalog_put(c, models_make("deepseek/off", 1716239400, "Off", false));
    return c;
}

static struct slice tag_of(const struct answer *a)
{
    return a->etag;
}

// The list that a key with these aliases gets; NULL rows = none.
static void list(struct answer *out, struct models_pool *pool, struct catalog *c,
                 const struct alias_set *set, bool gzip)
{
    struct view *v = catalog_view(c);
    struct alias_block *block = set == NULL ? NULL : alias_block_create(c, v, set);
    struct arena arena = models_pool_arena(pool);
    answer_list(out, &arena, v, block, gzip);
    alias_block_unref(block); // the answer has its own pin
    assert_int_equal(out->status, 200);
}

static void assert_list(struct catalog *c, const char *const *rows, size_t count, const char *want)
{
    struct models_pool pool = {0};
    struct answer a;
    struct buf text = {0};
    struct alias_set *set = rows == NULL ? NULL : models_aliases(rows, count);
    list(&a, &pool, c, set, false);
    models_join(&text, &a);
    assert_slice(buf_slice(&text), want);
    assert_false(a.gzip);
    answer_release(&a);
    buf_fini(&text);
    alias_set_destroy(set);
    models_pool_fini(&pool);
}

#define ASSERT_LIST(c, want, ...)                                                                  \
    assert_list(c, (const char *const[]){__VA_ARGS__},                                             \
                CM_ARRAY_LEN(((const char *const[]){__VA_ARGS__})), want)

// ---- lists ---------------------------------------------------------------

static void plain_list(void **state)
{
    struct catalog *c = two_models();
    (void)state;
    assert_list(c, NULL, 0,
                LIST("{\"id\":\"deepseek/flash\"" FLASH_REST "},{\"id\":\"anthropic/"
                     "sonnet\"" SONNET_REST "}",
                     "\"deepseek/flash\"", "\"anthropic/sonnet\""));
    catalog_destroy(c);
}

static void aliases_come_first(void **state)
{
    struct catalog *c = two_models();
    (void)state;
    ASSERT_LIST(c,
                LIST("{\"id\":\"zz\"" SONNET_REST ",\"root\":\"anthropic/sonnet\"},"
                     "{\"id\":\"deepseek/flash\"" SONNET_REST ",\"root\":\"anthropic/sonnet\"},"
                     "{\"id\":\"aa\"" FLASH_REST ",\"root\":\"deepseek/flash\"},"
                     "{\"id\":\"deepseek/flash\"" FLASH_REST "},"
                     "{\"id\":\"anthropic/sonnet\"" SONNET_REST "}",
                     "\"zz\"", "\"anthropic/sonnet\""),
                "exact off deepseek/off", "exact zz anthropic/sonnet", "exact gone x/y",
                "exact deepseek/flash anthropic/sonnet", "prefix aa deepseek/flash",
                "prefix off2 deepseek/off");
    catalog_destroy(c);
}

static void empty_lists(void **state)
{
    struct catalog *c = catalog_create();
    (void)state;
    assert_list(c, NULL, 0, LIST("", "null", "null"));
    ASSERT_LIST(c, LIST("", "null", "null"), "exact gone x/y");
    catalog_destroy(c);
}

// Without a line the list is that of a key without aliases, and so is its tag.
static void no_lines_no_difference(void **state)
{
    struct catalog *c = two_models();
    (void)state;
    struct alias_set *set = models_aliases((const char *const[]){"exact gone x/y"}, 1);
    struct alias_block *block = alias_block_create(c, catalog_view(c), set);
    assert_int_equal(block->count, 0);
    assert_memory_equal(&block->frame.plain.etag, &catalog_view(c)->frame.plain.etag,
                        sizeof(struct etag));
    alias_block_unref(block);
    alias_set_destroy(set);
    catalog_destroy(c);
}

static void list_tags(void **state)
{
    static const char *const to_flash[] = {"exact x deepseek/flash", "exact y deepseek/flash"};
    static const char *const to_sonnet[] = {"exact x anthropic/sonnet", "exact y anthropic/sonnet"};
    struct models_pool pool = {0};
    struct catalog *c = two_models();
    struct alias_set *sets[] = {NULL, models_aliases(to_flash, 2), models_aliases(to_sonnet, 2)};
    struct answer answers[2 * CM_ARRAY_LEN(sets)];
    (void)state;
    for (size_t i = 0; i < CM_ARRAY_LEN(answers); i++)
        list(&answers[i], &pool, c, sets[i / 2], i % 2);
    // Only the lists with aliases are long enough to be worth it.
    const bool gzip[] = {false, false, false, true, false, true};
    for (size_t i = 0; i < CM_ARRAY_LEN(answers); i++) {
        assert_int_equal(answers[i].gzip, gzip[i]);
        for (size_t j = 0; j < i; j++)
            assert_int_equal(slice_equal(tag_of(&answers[i]), tag_of(&answers[j])),
                             i / 2 == j / 2 && gzip[i] == gzip[j]);
    }
    for (size_t i = 0; i < CM_ARRAY_LEN(answers); i++)
        answer_release(&answers[i]);
    alias_set_destroy(sets[1]);
    alias_set_destroy(sets[2]);
    catalog_destroy(c);
    models_pool_fini(&pool);
}

// Nothing but the list of slices is made for an answer, and both pins hold.
static void list_is_not_copied(void **state)
{
    struct models_pool pool = {0};
    struct answer a;
    struct catalog *c = two_models();
    struct alias_set *set = models_aliases((const char *const[]){"exact x deepseek/flash"}, 1);
    (void)state;
    list(&a, &pool, c, set, false);
    assert_ptr_equal(a.parts[1].ptr, catalog_view(c)->plain[0].ptr);
    struct buf before = {0};
    struct buf after = {0};
    models_join(&before, &a);
    catalog_destroy(c);
    alias_set_destroy(set);
    models_join(&after, &a);
    assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
    answer_release(&a);
    assert_null(a.view);
    assert_null(a.block);
    buf_fini(&before);
    buf_fini(&after);
    models_pool_fini(&pool);
}

// ---- gzip ----------------------------------------------------------------

static struct catalog *random_catalog(void)
{
    static const long sizes[] = {0, 1, 2, 5, 300, 2000};
    struct catalog *c = catalog_create();
    for (long n = random() % (sizes[(size_t)random() % CM_ARRAY_LEN(sizes)] + 1); n > 0; n--)
        catalog_put(c, models_make_numbered((unsigned)random() % 3000));
    return c;
}

static struct alias_set *random_aliases(void)
{
    static char rows[256][64];
    const char *all[256];
    static const long sizes[] = {0, 1, 4, 256};
    size_t count = (size_t)(random() % (sizes[(size_t)random() % CM_ARRAY_LEN(sizes)] + 1));
    for (size_t i = 0; i < count; i++) {
        unsigned n = (unsigned)random() % 3000;
        all[i] = rows[i];
        snprintf(rows[i], sizeof(rows[i]), "%s alias-%zu v%u/model-%u",
                 random() % 2 ? "exact" : "prefix", i, n % 7, n);
    }
    return models_aliases(all, count);
}

// first_id and last_id say what data says.
static void assert_consistent(struct slice text)
{
    json_error_t error;
    json_t *doc = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(doc);
    json_t *data = json_object_get(doc, "data");
    size_t count = json_array_size(data);
    json_t *first = json_object_get(doc, "first_id");
    json_t *last = json_object_get(doc, "last_id");
    if (count == 0) {
        assert_true(json_is_null(first) && json_is_null(last));
    } else {
        assert_true(json_equal(first, json_object_get(json_array_get(data, 0), "id")));
        assert_true(json_equal(last, json_object_get(json_array_get(data, count - 1), "id")));
    }
    json_decref(doc);
}

static void both_forms_are_one_text(void **state)
{
    size_t compressed = 0;
    (void)state;
    srandom(4);
    for (int round = 0; round < 150; round++) {
        struct models_pool pool = {0};
        struct catalog *c = random_catalog();
        struct alias_set *set = random() % 4 == 0 ? NULL : random_aliases();
        struct answer plain, gzip;
        struct buf text = {0}, member = {0}, inflated = {0};
        list(&plain, &pool, c, set, false);
        list(&gzip, &pool, c, set, true);
        models_join(&text, &plain);
        models_join(&member, &gzip);
        assert_consistent(buf_slice(&text));
        assert_int_equal(gzip.gzip, text.len >= 1024);
        if (gzip.gzip) {
            inflate_member(buf_slice(&member), &inflated);
            assert_true(slice_equal(buf_slice(&inflated), buf_slice(&text)));
            assert_true(member.len < text.len);
            compressed++;
        } else {
            assert_true(slice_equal(buf_slice(&member), buf_slice(&text)));
        }
        answer_release(&plain);
        answer_release(&gzip);
        buf_fini(&text);
        buf_fini(&member);
        buf_fini(&inflated);
        alias_set_destroy(set);
        catalog_destroy(c);
        models_pool_fini(&pool);
    }
    assert_in_range(compressed, 40, 110); // both sides of the threshold are seen
}

// gzip(1) takes it for one whole file without trailing bytes.
static void gzip_itself_agrees(void **state)
{
    struct models_pool pool = {0};
    struct answer a;
    struct buf member = {0};
    char path[] = "/tmp/cm-test-answer-XXXXXX";
    char command[100];
    struct catalog *c = catalog_create();
    (void)state;
    for (unsigned n = 0; n < 1000; n++)
        catalog_put(c, models_make_numbered(n));
    list(&a, &pool, c, NULL, true);
    models_join(&member, &a);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, member.ptr, member.len), member.len);
    close(fd);
    snprintf(command, sizeof(command), "gzip -t <%s", path);
    int status = system(command); // gzip belongs to every Debian
    unlink(path);
    assert_int_equal(status, 0);
    answer_release(&a);
    buf_fini(&member);
    catalog_destroy(c);
    models_pool_fini(&pool);
}

// ---- one model -----------------------------------------------------------

static void one_model(struct answer *out, struct models_pool *pool, const struct catalog *c,
                      const struct alias_set *set, struct slice name, const char *want)
{
    struct arena arena = models_pool_arena(pool);
    struct buf text = {0};
    struct resolution r = resolve_name(c, set, name);
    answer_model(out, &arena, &r, name);
    models_join(&text, out);
    assert_slice(buf_slice(&text), want);
    assert_int_equal(out->status, 200);
    assert_false(out->gzip);
    buf_fini(&text);
}

static void models_by_any_name(void **state)
{
    struct models_pool pool = {0};
    struct answer a[4];
    struct catalog *c = two_models();
    struct alias_set *set = models_aliases(
        (const char *const[]){"exact s anthropic/sonnet", "prefix fl deepseek/flash"}, 2);
    (void)state;
    one_model(&a[0], &pool, c, set, SLICE_LIT("deepseek/flash"),
              "{\"id\":\"deepseek/flash\"" FLASH_REST "}");
    one_model(&a[1], &pool, c, set, SLICE_LIT("s"),
              "{\"id\":\"s\"" SONNET_REST ",\"root\":\"anthropic/sonnet\"}");
    one_model(&a[2], &pool, c, set, SLICE_LIT("fl\"/ \xc3\xa9\\"),
              "{\"id\":\"fl\\\"/ \xc3\xa9\\\\\"" FLASH_REST ",\"root\":\"deepseek/flash\"}");
    one_model(&a[3], &pool, c, NULL, SLICE_LIT("anthropic/sonnet"),
              "{\"id\":\"anthropic/sonnet\"" SONNET_REST "}");
    for (size_t i = 0; i < CM_ARRAY_LEN(a); i++)
        for (size_t j = 0; j < i; j++)
            assert_false(slice_equal(tag_of(&a[i]), tag_of(&a[j])));
    assert_ptr_equal(a[0].parts[0].ptr, catalog_find(c, SLICE_LIT("deepseek/flash"))->body.ptr);

    catalog_destroy(c); // what is pinned stays
    struct buf text = {0};
    models_join(&text, &a[0]);
    assert_slice(buf_slice(&text), "{\"id\":\"deepseek/flash\"" FLASH_REST "}");
    buf_fini(&text);
    for (size_t i = 0; i < CM_ARRAY_LEN(a); i++)
        answer_release(&a[i]);
    alias_set_destroy(set);
    models_pool_fini(&pool);
}

static void model_tags_follow_content(void **state)
{
    struct models_pool pool = {0};
    struct answer a;
    struct catalog *c = two_models();
    struct arena arena = models_pool_arena(&pool);
    struct resolution r = resolve_name(c, NULL, SLICE_LIT("deepseek/flash"));
    (void)state;
    answer_model(&a, &arena, &r, SLICE_LIT("deepseek/flash"));
    struct answer before = a; // with its pin
    catalog_put(c, models_make("deepseek/flash", 1716239400, "Flash 2", true));
    r = resolve_name(c, NULL, SLICE_LIT("deepseek/flash"));
    answer_model(&a, &arena, &r, SLICE_LIT("deepseek/flash"));
    assert_false(slice_equal(tag_of(&a), tag_of(&before)));
    answer_release(&a);
    catalog_put(c, models_make("deepseek/flash", 1716239400, "Flash", true));
    r = resolve_name(c, NULL, SLICE_LIT("deepseek/flash"));
    answer_model(&a, &arena, &r, SLICE_LIT("deepseek/flash"));
    assert_true(slice_equal(tag_of(&a), tag_of(&before)));
    answer_release(&a);
    answer_release(&before);
    catalog_destroy(c);
    models_pool_fini(&pool);
}

// ---- errors --------------------------------------------------------------

static void errors(void **state)
{
    struct models_pool pool = {0};
    struct arena arena = models_pool_arena(&pool);
    struct answer a;
    struct buf text = {0};
    (void)state;
    answer_error(&a, &arena, PUBLIC_MODEL_NOT_FOUND, DIALECT_ANTHROPIC,
                 &(struct error_subject){.model = SLICE_LIT("foo/bar")}, SLICE_LIT("req_cm_1"));
    assert_int_equal(a.status, 404);
    assert_int_equal(a.etag.len, 0);
    models_join(&text, &a);
    assert_slice(buf_slice(&text),
                 "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"Model "
                 "'foo/bar' was not found or is unavailable.\"},\"request_id\":\"req_cm_1\"}");
    answer_release(&a);
    buf_fini(&text);
    models_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_list),
        cmocka_unit_test(aliases_come_first),
        cmocka_unit_test(empty_lists),
        cmocka_unit_test(no_lines_no_difference),
        cmocka_unit_test(list_tags),
        cmocka_unit_test(list_is_not_copied),
        cmocka_unit_test(both_forms_are_one_text),
        cmocka_unit_test(gzip_itself_agrees),
        cmocka_unit_test(models_by_any_name),
        cmocka_unit_test(model_tags_follow_content),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
