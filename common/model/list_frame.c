// SPDX-License-Identifier: Apache-2.0
// Writing both faces of a frame. The compressed face needs the checksum of the
// whole answer: opening and closing are read here, the pages' own is given.
#include "common/model/list_frame.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/model/gzip.h"

// Shorter openings (that of a list without aliases) gain nothing by deflate.
enum { DEFLATE_FROM = 256 };

static void write_opening(struct buf *out, const struct list_lines *lines)
{
    buf_append_str(out, "{\"object\":\"list\",\"data\":[");
    buf_append_slice(out, lines->text);
    if (lines->text.len > 0)
        buf_append_char(out, ',');
}

static void write_id(struct buf *out, struct slice id_json)
{
    buf_append_slice(out, id_json.len > 0 ? id_json : SLICE_LIT("null"));
}

static void write_closing(struct buf *out, const struct list_body *body,
                          const struct list_lines *lines)
{
    buf_append_str(out, "],\"has_more\":false,\"first_id\":");
    write_id(out, lines->text.len > 0 ? lines->first_id_json : body->first_id_json);
    buf_append_str(out, ",\"last_id\":");
    write_id(out, body->last_id_json);
    buf_append_char(out, '}');
}

static void write_gzip_opening(struct buf *out, struct slice opening)
{
    gzip_append_header(out);
    if (opening.len < DEFLATE_FROM)
        gzip_append_stored(out, opening);
    else
        gzip_append_deflated(out, opening, GZIP_FOR_ONE);
}

static void write_gzip_closing(struct buf *out, struct slice opening, const struct list_body *body,
                               struct slice closing)
{
    uint32_t crc = gzip_crc_join(gzip_crc(opening), body->crc, body->length);
    crc = gzip_crc_join(crc, gzip_crc(closing), closing.len);
    gzip_append_end(out, closing, crc, (uint64_t)opening.len + body->length + closing.len);
}

static struct digest digest_list(const struct list_body *body, const struct list_lines *lines)
{
    if (lines->text.len == 0)
        return body->digest;
    return digest_add(body->digest, digest_record(SLICE_LIT("lines"), lines->text));
}

void list_frame_init(struct list_frame *frame, const struct list_body *body,
                     const struct list_lines *lines)
{
    struct buf text = {0};
    CM_ASSERT(lines->text.len == 0 || body->length > 0);
    write_opening(&text, lines);
    frame->plain.opening = buf_keep(&text);
    write_closing(&text, body, lines);
    frame->plain.closing = buf_keep(&text);
    write_gzip_opening(&text, frame->plain.opening);
    frame->gzip.opening = buf_keep(&text);
    write_gzip_closing(&text, frame->plain.opening, body, frame->plain.closing);
    frame->gzip.closing = buf_keep(&text);

    struct digest digest = digest_list(body, lines);
    frame->plain.etag = etag_make(digest, false);
    frame->gzip.etag = etag_make(digest, true);
    frame->bytes = frame->plain.opening.len + frame->plain.closing.len + frame->gzip.opening.len +
                   frame->gzip.closing.len;
}

void list_frame_fini(struct list_frame *frame)
{
    free((void *)frame->plain.opening.ptr);
    free((void *)frame->plain.closing.ptr);
    free((void *)frame->gzip.opening.ptr);
    free((void *)frame->gzip.closing.ptr);
    *frame = (struct list_frame){0};
}
