// SPDX-License-Identifier: Apache-2.0
// Rendering a key's aliases for one view: the target's object under the alias's
// name, plus root. An alias whose target is not there leaves no trace, and is
// back with the view that shows its target again.
#include "common/model/alias_block.h"

#include <stdlib.h>

#include "common/base/buf.h"

struct span {
    size_t from, len;
};

// Returns where the line's id stands in out.
static struct span write_line(struct buf *out, const struct alias *alias, const struct model *m)
{
    buf_append_str(out, "{\"id\":");
    struct span id = {.from = out->len};
    doc_write_string(out, alias->name);
    id.len = out->len - id.from;
    buf_append_slice(out, m->middle);
    buf_append_str(out, ",\"root\":");
    buf_append_slice(out, m->id_json);
    buf_append_char(out, '}');
    return id;
}

static struct slice cut(const struct buf *text, struct span part)
{
    return slice_make(text->ptr + part.from, part.len);
}

// Fills text and lines (which point into it); returns how many lines there are.
static size_t write_lines(struct buf *text, struct list_lines *lines, const struct catalog *c,
                          const struct alias_set *set)
{
    struct span first = {0};
    struct span last = {0};
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct model *m = catalog_find(c, set->items[i].target);
        if (m == NULL || !m->active)
            continue;
        if (count > 0)
            buf_append_char(text, ',');
        last = write_line(text, &set->items[i], m);
        if (count++ == 0)
            first = last;
    }
    if (count > 0)
        *lines = (struct list_lines){buf_slice(text), cut(text, first), cut(text, last)};
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
