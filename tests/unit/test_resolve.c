// SPDX-License-Identifier: Apache-2.0
#include "common/model/resolve.h"

#include <stdlib.h>

#include "tests/support/models.h"
#include "tests/support/test.h"

static const char *const rows[] = {
    "exact fast a/active",
    "prefix claude-opus a/active",
    "prefix claude-opus-5 b/other",
    "exact claude-opus-5 c/exact",
    "exact a/hidden b/other", // hides a real id
    "exact off a/off",
    "prefix gone- x/missing",
    "exact chain x/alias",
    "exact x/alias a/active",
    "exact b/other a/active",
};

struct fixture {
    struct catalog *catalog;
    struct alias_set *aliases;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->catalog = catalog_create();
    catalog_put(f->catalog, models_make("a/active", 1, "A", true));
    catalog_put(f->catalog, models_make("a/hidden", 1, "H", true));
    catalog_put(f->catalog, models_make("a/off", 1, "O", false));
    catalog_put(f->catalog, models_make("b/other", 1, "B", true));
    catalog_put(f->catalog, models_make("c/exact", 1, "C", true));
    f->aliases = models_aliases(rows, CM_ARRAY_LEN(rows));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    catalog_destroy(f->catalog);
    alias_set_destroy(f->aliases);
    free(f);
    return 0;
}

static void assert_found(const struct fixture *f, struct slice name, const char *alias,
                         const char *id)
{
    struct resolution r = resolve_name(f->catalog, f->aliases, name);
    assert_int_equal(r.outcome, RESOLVE_FOUND);
    assert_slice(r.alias == NULL ? SLICE_NONE : r.alias->name, alias);
    assert_slice(r.model->id, id);
}

static void assert_lost(const struct fixture *f, struct slice name, enum resolve_outcome outcome,
                        const char *alias)
{
    struct resolution r = resolve_name(f->catalog, f->aliases, name);
    assert_int_equal(r.outcome, outcome);
    assert_slice(r.alias == NULL ? SLICE_NONE : r.alias->name, alias);
    assert_null(r.model);
}

static void first_match_wins(void **state)
{
    const struct fixture *f = *state;
    assert_found(f, SLICE_LIT("fast"), "fast", "a/active");
    assert_found(f, SLICE_LIT("a/active"), "", "a/active");
    assert_found(f, SLICE_LIT("claude-opus"), "claude-opus", "a/active");
    assert_found(f, SLICE_LIT("claude-opus-4-9"), "claude-opus", "a/active");
    assert_found(f, SLICE_LIT("claude-opusX"), "claude-opus", "a/active"); // no separator rule
    assert_found(f, SLICE_LIT("claude-opus-5"), "claude-opus-5", "c/exact");
    assert_found(f, SLICE_LIT("claude-opus-5-1"), "claude-opus-5", "b/other");
    assert_found(f, SLICE_LIT("a/hidden"), "a/hidden", "b/other");
    assert_found(f, SLICE_LIT("b/other"), "b/other", "a/active");
    assert_lost(f, SLICE_LIT("Fast"), RESOLVE_NOT_FOUND, "");
    assert_lost(f, SLICE_LIT("fas"), RESOLVE_NOT_FOUND, "");
    assert_lost(f, SLICE_LIT("fast-"), RESOLVE_NOT_FOUND, "");
    assert_lost(f, SLICE_LIT("claude-opu"), RESOLVE_NOT_FOUND, "");
    assert_lost(f, SLICE_NONE, RESOLVE_NOT_FOUND, "");
}

static void targets_that_are_away(void **state)
{
    struct fixture *f = *state;
    assert_lost(f, SLICE_LIT("off"), RESOLVE_TARGET_UNAVAILABLE, "off");
    assert_lost(f, SLICE_LIT("gone-1"), RESOLVE_TARGET_UNAVAILABLE, "gone-");
    assert_lost(f, SLICE_LIT("chain"), RESOLVE_TARGET_UNAVAILABLE, "chain"); // no chains
    assert_lost(f, SLICE_LIT("a/off"), RESOLVE_NOT_FOUND, "");
    // Away hides a real id as well, and comes back by itself.
    assert_true(catalog_remove(f->catalog, SLICE_LIT("b/other")));
    assert_lost(f, SLICE_LIT("a/hidden"), RESOLVE_TARGET_UNAVAILABLE, "a/hidden");
    catalog_put(f->catalog, models_make("b/other", 1, "B", true));
    assert_found(f, SLICE_LIT("a/hidden"), "a/hidden", "b/other");
}

static void without_aliases(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve_name(f->catalog, NULL, SLICE_LIT("fast")).outcome, RESOLVE_NOT_FOUND);
    assert_slice(resolve_name(f->catalog, NULL, SLICE_LIT("a/hidden")).model->id, "a/hidden");
}

static void names_that_nobody_has(void **state)
{
    const struct fixture *f = *state;
    assert_found(f, SLICE_LIT("claude-opus\xc3\xa9"), "claude-opus", "a/active");
    assert_found(f, SLICE_LIT("claude-opus \"\\\n"), "claude-opus", "a/active");
    assert_lost(f, SLICE_LIT("claude-opus\xff"), RESOLVE_NOT_FOUND, "");
    assert_lost(f, SLICE_LIT("claude-opus\0"), RESOLVE_NOT_FOUND, "");
    assert_lost(f, SLICE_LIT("claude-opus\xed\xa0\x80"), RESOLVE_NOT_FOUND, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_match_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(targets_that_are_away, setup, teardown),
        cmocka_unit_test_setup_teardown(without_aliases, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_nobody_has, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
