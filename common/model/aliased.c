// SPDX-License-Identifier: Apache-2.0
// The one place that knows the shape: lists and single answers must agree.
#include "common/model/aliased.h"

#include "common/model/doc.h"

size_t aliased_write_head(struct buf *out, struct slice name)
{
    buf_append_str(out, "{\"id\":");
    size_t before = out->len;
    doc_write_string(out, name);
    return out->len - before;
}

void aliased_write_tail(struct buf *out, const struct model *target)
{
    buf_append_str(out, ",\"root\":");
    buf_append_slice(out, target->id_json);
    buf_append_char(out, '}');
}
