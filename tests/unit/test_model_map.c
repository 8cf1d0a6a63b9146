// SPDX-License-Identifier: Apache-2.0
#include "common/model/model_map.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/models.h"
#include "tests/support/test.h"

enum { POOL = 400 };

static void agrees_with_an_array(void **state)
{
    struct model *models[POOL];
    bool in[POOL] = {0};
    struct model_map map = {0};
    size_t count = 0;
    (void)state;
    srandom(2);
    for (unsigned i = 0; i < POOL; i++)
        models[i] = models_make_numbered(i);
    for (int step = 0; step < 60000; step++) {
        size_t i = (size_t)random() % POOL;
        // Swing between nearly full and nearly empty, so that gaps close in long runs.
        if (random() % 100 < (step / 3000 % 2 ? 30 : 70)) {
            struct model *old = model_map_put(&map, model_ref(models[i]));
            assert_ptr_equal(old, in[i] ? models[i] : NULL);
            model_unref(old);
            count += !in[i];
            in[i] = true;
        } else {
            struct model *old = model_map_remove(&map, models[i]->id);
            assert_ptr_equal(old, in[i] ? models[i] : NULL);
            model_unref(old);
            count -= in[i];
            in[i] = false;
        }
        assert_int_equal(map.count, count);
        size_t seen = (size_t)random() % POOL;
        assert_ptr_equal(model_map_find(&map, models[seen]->id), in[seen] ? models[seen] : NULL);
    }
    for (size_t i = 0; i < POOL; i++)
        assert_ptr_equal(model_map_find(&map, models[i]->id), in[i] ? models[i] : NULL);
    model_map_fini(&map);
    for (size_t i = 0; i < POOL; i++)
        model_unref(models[i]);
}

static void empty(void **state)
{
    struct model_map map = {0};
    (void)state;
    assert_null(model_map_find(&map, SLICE_LIT("a/b")));
    assert_null(model_map_remove(&map, SLICE_LIT("a/b")));
    model_map_fini(&map);
}

// Pages of running workers of other versions depend on it.
static void hash_is_fixed(void **state)
{
    (void)state;
    assert_true(model_map_hash(SLICE_LIT("deepseek/deepseek-v4-pro")) == 0xf6449eab95daf6deu);
    assert_true(model_map_hash(SLICE_NONE) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_an_array),
                                       cmocka_unit_test(empty), cmocka_unit_test(hash_is_fixed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
