// SPDX-License-Identifier: Apache-2.0
// Everything goes through the validators, so that tests see what workers see.
#include "tests/support/models.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

struct models_block {
    struct models_block *next;
    max_align_t memory[];
};

struct model *models_make(const char *id, int64_t created, const char *display_name, bool active)
{
    struct mistakes mistakes;
    struct buf record = {0};
    mistakes_init(&mistakes);
    json_t *draft = json_pack("{s:s,s:I,s:i,s:{s:b},s:s}", "display_name", display_name, "created",
                              (json_int_t)created, "context_length", 65536, "capabilities", "tools",
                              1, "status", active ? "active" : "disabled");
    json_t *doc = model_complete(draft, slice_of(id), 0, &mistakes);
    if (doc == NULL)
        fail_msg("%s: %s", mistakes.items[0].pointer, mistakes.items[0].detail);
    model_write_record(&record, doc, 1);
    struct model *m = model_parse(buf_slice(&record), NULL);
    assert_non_null(m);
    buf_fini(&record);
    json_decref(doc);
    json_decref(draft);
    return m;
}

struct model *models_make_numbered(unsigned n)
{
    char id[64];
    char name[64];
    snprintf(id, sizeof(id), "v%u/model-%u", n % 7, n);
    snprintf(name, sizeof(name), "Model %u", n);
    return models_make(id, 1716239400 + n * 7919 % 1000, name, true);
}

struct alias_set *models_aliases(const char *const *rows, size_t count)
{
    struct mistakes mistakes;
    mistakes_init(&mistakes);
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        char match[8];
        char name[300];
        char target[300];
        assert_int_equal(sscanf(rows[i], "%7s %299s %299s", match, name, target), 3);
        json_array_append_new(
            array, json_pack("{s:s,s:s,s:s}", "match", match, "name", name, "target", target));
    }
    struct alias_set *set = alias_set_parse(array, "#/aliases", &mistakes);
    if (set == NULL)
        fail_msg("%s: %s", mistakes.items[0].pointer, mistakes.items[0].detail);
    json_decref(array);
    return set;
}

static void *take(void *ctx, size_t size)
{
    struct models_pool *pool = ctx;
    struct models_block *block = xmalloc(sizeof(*block) + size);
    block->next = pool->blocks;
    pool->blocks = block;
    return block->memory;
}

struct arena models_pool_arena(struct models_pool *pool)
{
    return (struct arena){.alloc = take, .ctx = pool};
}

void models_pool_fini(struct models_pool *pool)
{
    while (pool->blocks != NULL) {
        struct models_block *block = pool->blocks;
        pool->blocks = block->next;
        free(block);
    }
}

void models_join(struct buf *out, const struct answer *a)
{
    size_t before = out->len;
    for (size_t i = 0; i < a->part_count; i++)
        buf_append_slice(out, a->parts[i]);
    assert_int_equal(out->len - before, a->length);
}
