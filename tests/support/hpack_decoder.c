// SPDX-License-Identifier: Apache-2.0
// The table's entries are kept as texts: it is small, and this is a test.
#include "tests/support/hpack_decoder.h"

#include <string.h>

#include "common/base/buf.h"
#include "tests/support/test.h"

enum { STATIC_ENTRIES = 61 };

void hpack_decoder_init(struct hpack_decoder *d)
{
    memset(d, 0, sizeof(*d));
    d->size = d->allowed = 4096;
}

static size_t take_int(struct hpack_decoder *d, unsigned bits)
{
    size_t full = ((size_t)1 << bits) - 1, value = (unsigned char)d->rest.ptr[0] & full;
    assert_true(d->rest.len > 0);
    d->rest = slice_skip(d->rest, 1);
    for (unsigned shift = 0, more = value == full; more; shift += 7) {
        assert_true(d->rest.len > 0 && shift < 28);
        more = ((unsigned char)d->rest.ptr[0] & 128) != 0;
        value += (size_t)((unsigned char)d->rest.ptr[0] & 127) << shift;
        d->rest = slice_skip(d->rest, 1);
    }
    return value;
}

static void take_string(struct hpack_decoder *d, char *out, size_t size)
{
    assert_true(d->rest.len > 0 && (d->rest.ptr[0] & 128) == 0); // not Huffman-coded
    size_t len = take_int(d, 7);
    assert_true(len <= d->rest.len && len < size);
    memcpy(out, d->rest.ptr, len);
    out[len] = '\0';
    d->rest = slice_skip(d->rest, len);
}

static size_t cost(const struct hpack_field *f)
{
    return strlen(f->name) + strlen(f->value) + 32;
}

void hpack_shrink(struct hpack_decoder *d, size_t bytes)
{
    while (d->bytes > bytes)
        d->bytes -= cost(&d->table[--d->count]);
}

static void insert(struct hpack_decoder *d, const struct hpack_field *f)
{
    assert_true(cost(f) <= d->size && d->count < HPACK_ENTRIES);
    hpack_shrink(d, d->size - cost(f));
    memmove(&d->table[1], &d->table[0], d->count * sizeof(*f));
    d->table[0] = *f;
    d->count++;
    d->bytes += cost(f);
}

static void look_up(const struct hpack_decoder *d, size_t index, struct hpack_field *f, bool whole)
{
    static const char *const statuses[] = {"200", "204", "206", "304", "400", "404", "500"};
    assert_true(index > 0 && index <= STATIC_ENTRIES + d->count);
    if (index > STATIC_ENTRIES) {
        *f = d->table[index - STATIC_ENTRIES - 1];
    } else if (index >= 8 && index <= 14) {
        strcpy(f->name, ":status");
        strcpy(f->value, statuses[index - 8]);
    } else {
        assert_true(!whole && (index == 28 || index == 33));
        strcpy(f->name, index == 28 ? "content-length" : "date");
    }
}

static void take_size(struct hpack_decoder *d)
{
    size_t size = take_int(d, 5);
    assert_true(size <= d->allowed);
    d->size = size;
    d->must_update = false;
    hpack_shrink(d, size);
}

static void take_field(struct hpack_decoder *d, struct hpack_field *f)
{
    unsigned char first = (unsigned char)d->rest.ptr[0];
    assert_false(d->must_update);
    if (first >= 0x80) {
        look_up(d, take_int(d, 7), f, true);
        return;
    }
    assert_true(first >= 0x40 || first < 0x10);
    size_t index = take_int(d, first >= 0x40 ? 6 : 4);
    if (index == 0)
        take_string(d, f->name, sizeof(f->name));
    else
        look_up(d, index, f, false);
    take_string(d, f->value, sizeof(f->value));
    if (first >= 0x40)
        insert(d, f);
}

struct slice hpack_decode(struct hpack_decoder *d, struct slice block)
{
    static struct buf text;
    static struct hpack_field f;
    text.len = 0;
    for (d->rest = block; d->rest.len > 0;) {
        if ((d->rest.ptr[0] & 0xE0) == 0x20) {
            take_size(d);
        } else {
            take_field(d, &f);
            buf_printf(&text, "%s: %s\n", f.name, f.value);
        }
    }
    return buf_slice(&text);
}
