// SPDX-License-Identifier: Apache-2.0
#include "common/model/alias.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/names.h"
#include "tests/support/test.h"

// ---- helpers -------------------------------------------------------------

static void add(json_t *array, enum alias_match match, const char *name, const char *target)
{
    json_array_append_new(array, json_pack("{s:s,s:s,s:s}", "match",
                                           match == ALIAS_PREFIX ? "prefix" : "exact", "name", name,
                                           "target", target));
}

static struct alias_set *parse(const json_t *array)
{
    struct mistakes m;
    mistakes_init(&m);
    struct alias_set *set = alias_set_parse(array, "#/aliases", &m);
    if (set == NULL)
        fail_msg("%s: %s", m.items[0].pointer, m.items[0].detail);
    return set;
}

// The target of what is found, or "-".
static const char *found(const struct alias_set *set, const char *name)
{
    static char text[300];
    const struct alias *alias = alias_set_find(set, slice_of(name));
    if (alias == NULL)
        return "-";
    snprintf(text, sizeof(text), "%.*s", SLICE_FMT(alias->target));
    return text;
}

static void assert_mistake(const char *json, const char *pointer, const char *code)
{
    struct doc_error error;
    struct mistakes m;
    mistakes_init(&m);
    json_t *doc = doc_parse(slice_of(json), &error);
    assert_non_null(doc);
    assert_null(alias_set_parse(doc, "#/aliases", &m));
    assert_null(alias_set_parse(doc, "#/aliases", NULL)); // also when nobody asks why
    if (m.count != 1 || strcmp(m.items[0].pointer, pointer) != 0 ||
        strcmp(m.items[0].code, code) != 0)
        fail_msg("%s: got %zu, %s %s: %s", json, m.count, m.items[0].pointer, m.items[0].code,
                 m.items[0].detail);
    json_decref(doc);
}

// ---- tests ---------------------------------------------------------------

static void resolution(void **state)
{
    (void)state;
    json_t *array = json_array();
    add(array, ALIAS_PREFIX, "claude", "a/claude");
    add(array, ALIAS_EXACT, "claude", "a/exact-claude");
    add(array, ALIAS_PREFIX, "claude-opus", "a/opus");
    add(array, ALIAS_EXACT, "claude-opus-4", "a/opus-4");
    add(array, ALIAS_PREFIX, "gpt", "a/gpt");
    add(array, ALIAS_EXACT, "z", "a/z");
    add(array, ALIAS_PREFIX, "openai/", "a/vendor");
    struct alias_set *set = parse(array);
    assert_string_equal(found(set, "claude"), "a/exact-claude");
    assert_string_equal(found(set, "claude-"), "a/claude");
    assert_string_equal(found(set, "claude-o"), "a/claude");
    assert_string_equal(found(set, "claude-opus"), "a/opus");
    assert_string_equal(found(set, "claude-opus-4"), "a/opus-4");
    assert_string_equal(found(set, "claude-opus-4-8"), "a/opus");
    assert_string_equal(found(set, "claude-sonnet"), "a/claude");
    assert_string_equal(found(set, "claud"), "-");
    assert_string_equal(found(set, "Claude"), "-");
    assert_string_equal(found(set, "gpt"), "a/gpt");
    assert_string_equal(found(set, "gpt\xff"), "a/gpt"); // any bytes may follow a prefix
    assert_string_equal(found(set, "z"), "a/z");
    assert_string_equal(found(set, "zz"), "-");
    assert_string_equal(found(set, "openai/gpt"), "a/vendor");
    assert_string_equal(found(set, ""), "-");
    assert_string_equal(found(set, "~"), "-");
    assert_null(alias_set_find(set, SLICE_NONE));
    alias_set_destroy(set);
    json_decref(array);
}

static void order_tables_and_size(void **state)
{
    (void)state;
    json_t *array = json_array();
    add(array, ALIAS_PREFIX, "ab", "t/0");
    add(array, ALIAS_EXACT, "ab", "t/1");
    add(array, ALIAS_PREFIX, "abcd", "t/2");
    add(array, ALIAS_EXACT, "abc", "t/3");
    add(array, ALIAS_EXACT, "b", "t/4");
    struct alias_set *set = parse(array);
    assert_int_equal(set->count, 5);
    assert_slice(set->items[3].name, "abc"); // list order is body order
    static const uint16_t by_name[] = {1, 0, 3, 2, 4}, enclosing[] = {2, 0, 2, 2, 0};
    assert_memory_equal(set->by_name, by_name, sizeof(by_name));
    assert_memory_equal(set->enclosing, enclosing, sizeof(enclosing));
    assert_int_equal(set->bytes, sizeof(*set) + 5 * (sizeof(struct alias) + 4) + 12 + 15);
    struct buf out = {0};
    alias_set_write(&out, set);
    struct buf want = {0};
    doc_write(&want, array);
    assert_slice(buf_slice(&out), buf_cstr(&want));
    buf_fini(&want);
    buf_fini(&out);
    alias_set_destroy(set);
    json_decref(array);
}

static void empty_set(void **state)
{
    (void)state;
    json_t *array = json_array();
    struct alias_set *set = parse(array);
    assert_int_equal(set->count, 0);
    assert_null(alias_set_find(set, slice_of("x")));
    struct buf out = {0};
    alias_set_write(&out, set);
    assert_slice(buf_slice(&out), "[]");
    buf_fini(&out);
    alias_set_destroy(set);
    alias_set_destroy(NULL);
    json_decref(array);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    assert_mistake("{}", "#/aliases", "invalid");
    assert_mistake("null", "#/aliases", "invalid");
    assert_mistake("[7]", "#/aliases/0", "invalid");
    assert_mistake("[{\"match\":\"exact\",\"name\":\"x\"}]", "#/aliases/0/target", "required");
    assert_mistake("[{\"match\":\"exact\",\"target\":\"a/b\"}]", "#/aliases/0/name", "required");
    assert_mistake("[{\"name\":\"x\",\"target\":\"a/b\"}]", "#/aliases/0/match", "required");
    assert_mistake("[{\"match\":\"Exact\",\"name\":\"x\",\"target\":\"a/b\"}]", "#/aliases/0/match",
                   "invalid");
    assert_mistake("[{\"match\":null,\"name\":\"x\",\"target\":\"a/b\"}]", "#/aliases/0/match",
                   "invalid");
    assert_mistake("[{\"match\":\"exact\",\"name\":\"x y\",\"target\":\"a/b\"}]",
                   "#/aliases/0/name", "invalid");
    assert_mistake("[{\"match\":\"exact\",\"name\":\"\",\"target\":\"a/b\"}]", "#/aliases/0/name",
                   "invalid");
    assert_mistake("[{\"match\":\"prefix\",\"name\":\"x\",\"target\":\"a/b\"}]", "#/aliases/0/name",
                   "invalid");
    assert_mistake("[{\"match\":\"exact\",\"name\":\"x\",\"target\":\"b\"}]", "#/aliases/0/target",
                   "invalid");
    assert_mistake("[{\"match\":\"exact\",\"name\":\"x\",\"target\":\"a/b\",\"nmae\":1}]",
                   "#/aliases/0/nmae", "unknown_field");
    assert_mistake("[{\"match\":\"exact\",\"name\":\"x\",\"target\":\"a/b\"},"
                   "{\"match\":\"prefix\",\"name\":\"xx\",\"target\":\"a/b\"},"
                   "{\"match\":\"exact\",\"name\":\"x\",\"target\":\"a/c\"}]",
                   "#/aliases/2", "repeated");
}

static void all_mistakes_at_once(void **state)
{
    (void)state;
    struct doc_error error;
    struct mistakes m;
    mistakes_init(&m);
    mistakes_add(&m, "#", "invalid", "an earlier one must not make a good set bad");
    json_t *good = json_array(), *bad = doc_parse(slice_of("[{},7]"), &error);
    struct alias_set *set = alias_set_parse(good, "#/aliases", &m);
    assert_non_null(set);
    alias_set_destroy(set);
    assert_null(alias_set_parse(bad, "#/aliases", &m));
    assert_int_equal(m.count, 1 + 3 + 1);
    json_decref(good);
    json_decref(bad);
}

static void at_most_256(void **state)
{
    (void)state;
    json_t *array = json_array();
    char name[20];
    for (int i = 0; i < ALIAS_SET_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        add(array, i % 2 == 0 ? ALIAS_EXACT : ALIAS_PREFIX, name, "a/b");
    }
    struct alias_set *set = parse(array);
    assert_int_equal(set->count, ALIAS_SET_MAX);
    alias_set_destroy(set);
    add(array, ALIAS_EXACT, "one-more", "a/b");
    struct mistakes m;
    mistakes_init(&m);
    assert_null(alias_set_parse(array, "#/aliases", &m));
    assert_int_equal(m.count, 1);
    assert_string_equal(m.items[0].code, "out_of_range");
    json_decref(array);
}

static void deepest_nesting(void **state)
{
    (void)state;
    json_t *array = json_array();
    char name[ALIAS_SET_MAX + 2], target[20];
    memset(name, 'a', sizeof(name));
    for (size_t len = NAMES_PREFIX_MIN; len <= NAMES_ALIAS_MAX; len++) {
        name[len] = '\0';
        snprintf(target, sizeof(target), "t/%zu", len);
        add(array, ALIAS_PREFIX, name, target);
        name[len] = 'a';
    }
    struct alias_set *set = parse(array);
    memset(name, 'a', sizeof(name));
    for (size_t len = NAMES_PREFIX_MIN; len <= NAMES_ALIAS_MAX; len++) {
        name[len] = 'z'; // comes after all of them
        name[len + 1] = '\0';
        snprintf(target, sizeof(target), "t/%zu", len);
        assert_string_equal(found(set, name), target);
        name[len] = name[len + 1] = 'a';
    }
    alias_set_destroy(set);
    json_decref(array);
}

// ---- against the rule as SPEC 1.4 words it --------------------------------

static uint64_t random_state;

static unsigned below(unsigned n) // xorshift64*
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (unsigned)(random_state * 0x2545F4914F6CDD1DULL >> 33) % n;
}

// The lowest and the highest byte of the grammar, and one between.
static const char alphabet[] = {'!', 'a', '~'};

static size_t random_name(char *out, size_t min, size_t max)
{
    size_t len = min + below((unsigned)(max - min + 1));
    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[below(below(4) == 0 ? 3 : 2)];
    out[len] = '\0';
    return len;
}

static const struct alias *oracle(const struct alias_set *set, struct slice name)
{
    const struct alias *best = NULL;
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].match == ALIAS_EXACT && slice_equal(set->items[i].name, name))
            return &set->items[i];
    for (size_t i = 0; i < set->count; i++) {
        const struct alias *alias = &set->items[i];
        if (alias->match == ALIAS_PREFIX && slice_starts_with(name, alias->name) &&
            (best == NULL || alias->name.len > best->name.len))
            best = alias;
    }
    return best;
}

static json_t *random_array(size_t longest)
{
    json_t *array = json_array();
    json_t *seen = json_object();
    for (unsigned n = below(below(8) == 0 ? 40 : 9); n > 0; n--) {
        char name[16], tagged[18];
        enum alias_match match = below(3) == 0 ? ALIAS_EXACT : ALIAS_PREFIX;
        random_name(name, match == ALIAS_PREFIX ? NAMES_PREFIX_MIN : 1, longest);
        snprintf(tagged, sizeof(tagged), "%d%s", (int)match, name);
        if (json_object_get(seen, tagged) != NULL)
            continue;
        json_object_set_new(seen, tagged, json_true());
        add(array, match, name, "a/b");
    }
    json_decref(seen);
    return array;
}

static void same_as_a_plain_search(void **state)
{
    (void)state;
    const char *given = getenv("CM_TEST_SEED");
    random_state = given != NULL ? strtoull(given, NULL, 0) : 0;
    if (random_state == 0)
        random_state = 0x5eed;
    printf("CM_TEST_SEED=0x%llx\n", (unsigned long long)random_state);
    unsigned long long names = 0, hits = 0;
    for (int round = 0; round < 200000; round++) {
        size_t longest = 3 + below(6);
        json_t *array = random_array(longest);
        struct alias_set *set = parse(array);
        for (int i = 0; i < 4; i++, names++) {
            char text[16];
            struct slice name = slice_make(text, random_name(text, 0, longest + 1));
            const struct alias *want = oracle(set, name);
            hits += want != NULL;
            if (alias_set_find(set, name) != want)
                fail_msg("'%s' in a set of %zu (round %d)", text, set->count, round);
        }
        alias_set_destroy(set);
        json_decref(array);
    }
    printf("%llu names, %llu found\n", names, hits);
    assert_true(names >= 200000 && hits > names / 10 && hits < names * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolution),
        cmocka_unit_test(order_tables_and_size),
        cmocka_unit_test(empty_set),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(all_mistakes_at_once),
        cmocka_unit_test(at_most_256),
        cmocka_unit_test(deepest_nesting),
        cmocka_unit_test(same_as_a_plain_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
