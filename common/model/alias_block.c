// SPDX-License-Identifier: Apache-2.0
// Rendering a key's aliases for one view: the target's object under the alias's
// name, plus root. An alias whose target is not there leaves no trace, and is
// back with the view that shows its target again.
#include "common/model/alias_block.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/model/aliased.h"

// Fills text and lines (which point into it); returns how many lines there are.
static size_t write_lines(struct buf *text, struct list_lines *lines, const struct catalog *c,
                          const struct alias_set *set)
{
    size_t first_id_len = 0;
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct model *m = catalog_find(c, set->items[i].target);
        if (m == NULL || !m->active)
            continue;
        if (count > 0)
            buf_append_char(text, ',');
        size_t id_len = aliased_write_head(text, set->items[i].name);
        buf_append_slice(text, m->middle);
        aliased_write_tail(text, m);
        if (count++ == 0)
            first_id_len = id_len;
    }
    if (count > 0) {
        lines->text = buf_slice(text);
        lines->first_id_json = slice_make(text->ptr + ALIASED_ID_AT, first_id_len);
    }
    return count;
}

struct alias_block *alias_block_create(const struct catalog *c, const struct view *v,
                                       const struct alias_set *set)
{
    CM_ASSERT(catalog_view_is_current(c, v));
    struct alias_block *b = xcalloc(1, sizeof(*b));
    struct buf text = {0};
    struct list_lines lines = {0};
    b->refs = 1;
    b->view_serial = v->serial;
    b->count = write_lines(&text, &lines, c, set);
    list_frame_init(&b->frame, &v->body, &lines);
    b->bytes = sizeof(*b) + b->frame.bytes;
    buf_fini(&text);
    return b;
}

struct alias_block *alias_block_ref(struct alias_block *b)
{
    b->refs++;
    return b;
}

void alias_block_unref(struct alias_block *b)
{
    if (b == NULL || --b->refs > 0)
        return;
    list_frame_fini(&b->frame);
    free(b);
}
