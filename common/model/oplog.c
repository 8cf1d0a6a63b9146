// SPDX-License-Identifier: Apache-2.0
// Reading and writing log entries. Every line ends in a line feed, the last one
// too, so that an entry that was cut is seen as garbled. Whether a record is a
// good model is not judged here: the catalog decides that, and keeps the old
// record when it is not.
#include "common/model/oplog.h"

#include <string.h>

#include "common/model/head.h"

static const uint64_t revision_max = (UINT64_C(1) << 53) - 1;

static bool parse_stream_id(struct slice id, struct oplog_entry *out)
{
    uint64_t revision, part;
    struct slice number = slice_take(&id, '-');
    if (!slice_parse_u64(number, revision_max, &revision) || revision == 0 ||
        !slice_parse_u64(id, OPLOG_PARTS_MAX - 1, &part))
        return false;
    out->revision = revision;
    out->part = (uint32_t)part;
    return true;
}

bool oplog_entry_parse(struct slice stream_id, struct slice change, struct slice previous,
                       struct slice ops, struct slice more, struct oplog_entry *out)
{
    struct oplog_entry e = {.more = more.ptr != NULL};
    e.ops = e.more ? more : ops;
    if ((ops.ptr == NULL) != e.more || !parse_stream_id(stream_id, &e) ||
        !head_id_parse(change, &e.change) || !head_id_parse(previous, &e.previous))
        return false;
    *out = e;
    return true;
}

// line is without its line feed: the kind, a blank, and what the kind needs.
static bool parse_line(struct slice line, struct oplog_op *op)
{
    if (line.len < 3 || line.ptr[1] != ' ')
        return false;
    struct slice rest = slice_skip(line, 2);
    *op = (struct oplog_op){.kind = (enum oplog_kind)line.ptr[0]};
    switch (op->kind) {
    case OPLOG_MODEL:
        op->id = slice_take(&rest, ' ');
        op->record = rest;
        return op->id.len > 0 && op->record.len > 0;
    case OPLOG_REMOVE:
        op->id = rest;
        return memchr(rest.ptr, ' ', rest.len) == NULL;
    case OPLOG_KEY:
    case OPLOG_DENY:
        return secret_digest_parse(rest, &op->key);
    }
    return false;
}

int oplog_next(struct slice *rest, struct oplog_op *op)
{
    if (rest->len == 0)
        return 0;
    const char *end = memchr(rest->ptr, '\n', rest->len);
    if (end == NULL)
        return -1;
    struct slice line = {rest->ptr, (size_t)(end - rest->ptr)};
    struct oplog_op found;
    if (!parse_line(line, &found))
        return -1;
    *op = found;
    *rest = slice_skip(*rest, line.len + 1);
    return 1;
}

bool oplog_valid(struct slice ops)
{
    struct oplog_op op;
    int more;
    while ((more = oplog_next(&ops, &op)) > 0)
        ;
    return more == 0;
}

void oplog_add_model(struct buf *ops, struct slice id, struct slice record)
{
    buf_append_str(ops, "M ");
    buf_append_slice(ops, id);
    buf_append_char(ops, ' ');
    buf_append_slice(ops, record);
    buf_append_char(ops, '\n');
}

void oplog_add_remove(struct buf *ops, struct slice id)
{
    buf_append_str(ops, "X ");
    buf_append_slice(ops, id);
    buf_append_char(ops, '\n');
}

void oplog_add_key(struct buf *ops, const struct secret_digest *key, bool deny)
{
    char hex[SECRET_HEX_LEN + 1];
    secret_digest_hex(key, hex);
    buf_append_str(ops, deny ? "D " : "K ");
    buf_append(ops, hex, SECRET_HEX_LEN);
    buf_append_char(ops, '\n');
}
