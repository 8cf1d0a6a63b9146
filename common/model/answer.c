// SPDX-License-Identifier: Apache-2.0
// Putting answers together from what is rendered already. A list is its frame
// around its pages; a model under its own name is one slice, under an alias's
// three; an error is written anew unless it says the same to everybody.
#include "common/model/answer.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/model/aliased.h"

// Below this, compressing saves less than a packet.
enum { GZIP_FROM = 1024 };

// What is written anew is rarely longer.
enum { TEXT_USUAL = 256 };

static void *take(const struct arena *arena, size_t size)
{
    void *memory = arena->alloc(arena->ctx, size);
    CM_ASSERT(memory != NULL);
    return memory;
}

static struct slice copy(const struct arena *arena, struct slice text)
{
    char *ptr = take(arena, text.len + 1);
    memcpy(ptr, text.ptr, text.len);
    return slice_make(ptr, text.len);
}

static void start(struct answer *out, const struct arena *arena, int status, size_t parts)
{
    *out = (struct answer){.status = status};
    out->parts = take(arena, parts * sizeof(struct slice));
}

static void add(struct answer *out, struct slice part)
{
    out->parts[out->part_count++] = part;
    out->length += part.len;
}

static struct slice text_of(const struct etag *etag)
{
    return slice_make(etag->text, etag->len);
}

void answer_list(struct answer *out, const struct arena *arena, struct view *v,
                 struct alias_block *block, bool gzip_wanted)
{
    CM_ASSERT(block == NULL || block->view_serial == v->serial);
    const struct list_frame *frame = block == NULL ? &v->frame : &block->frame;
    size_t plain_len = frame->plain.opening.len + v->body.length + frame->plain.closing.len;
    bool gzip = gzip_wanted && plain_len >= GZIP_FROM;
    const struct list_face *face = gzip ? &frame->gzip : &frame->plain;

    start(out, arena, 200, v->page_count + 2);
    out->gzip = gzip;
    add(out, face->opening);
    memcpy(out->parts + 1, gzip ? v->packed : v->plain, v->page_count * sizeof(struct slice));
    out->part_count += v->page_count;
    out->length += gzip ? v->packed_len : v->body.length;
    add(out, face->closing);
    out->etag = text_of(&face->etag);
    out->view = view_ref(v);
    out->block = block == NULL ? NULL : alias_block_ref(block);
}

static void add_aliased(struct answer *out, const struct arena *arena, const struct model *m,
                        struct slice name)
{
    struct buf text = {0};
    buf_reserve(&text, TEXT_USUAL);
    (void)aliased_write_head(&text, name);
    size_t head_len = text.len;
    aliased_write_tail(&text, m);
    struct slice both = copy(arena, buf_slice(&text));
    buf_fini(&text);
    add(out, slice_make(both.ptr, head_len));
    add(out, m->middle);
    add(out, slice_skip(both, head_len));
}

// A tag is compared with tags of the same name only, so that target and "by an
// alias" are all that can differ.
static struct digest digest_aliased(struct digest target)
{
    return digest_add(target, (struct digest){0x9e3779b97f4a7c15u, 0xf39cc0605cedc835u});
}

static struct slice tag_aliased(const struct arena *arena, const struct model *target)
{
    struct etag etag = etag_make(digest_aliased(target->digest), false);
    return copy(arena, text_of(&etag));
}

void answer_model(struct answer *out, const struct arena *arena, const struct resolution *r,
                  struct slice name)
{
    CM_ASSERT(r->outcome == RESOLVE_FOUND);
    struct model *m = r->model;
    start(out, arena, 200, 3);
    if (r->alias != NULL) {
        add_aliased(out, arena, m, name);
        out->etag = tag_aliased(arena, m);
    } else {
        add(out, m->body);
        out->etag = text_of(&m->etag);
    }
    out->model = model_ref(m);
}

void answer_error(struct answer *out, const struct arena *arena, enum public_error error,
                  enum dialect dialect, const struct error_subject *subject,
                  struct slice request_id)
{
    start(out, arena, public_error_status(error), 1);
    struct slice fixed = public_error_fixed(error, dialect);
    if (fixed.len > 0) {
        add(out, fixed);
        return;
    }
    struct buf text = {0};
    buf_reserve(&text, TEXT_USUAL);
    public_error_write(&text, error, dialect, subject, request_id);
    add(out, copy(arena, buf_slice(&text)));
    buf_fini(&text);
}

void answer_release(struct answer *a)
{
    view_unref(a->view);
    alias_block_unref(a->block);
    model_unref(a->model);
    a->view = NULL;
    a->block = NULL;
    a->model = NULL;
}
