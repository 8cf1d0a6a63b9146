// SPDX-License-Identifier: Apache-2.0
// JSON in and out. jansson parses; this file adds what it leaves open: a depth
// limit that is checked before its recursion starts, texts of mistakes that
// quote nothing, positions that count from 1, and an allocator that aborts, so
// that a full heap is never taken for a malformed document.
//
// Writing is our own: one byte form for one document, on which digests and
// ETags stand, whatever flags or version jansson has.
#include "common/model/doc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

// Before any document exists, also in programs that never parse one.
__attribute__((constructor)) static void set_allocator(void)
{
    json_set_alloc_funcs(xmalloc, free);
}

// The column counts characters, so bytes that continue one are left out.
static void locate(struct slice text, size_t offset, struct doc_error *error)
{
    error->line = 1;
    error->column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            error->line++;
            error->column = 1;
        } else if (((unsigned char)text.ptr[i] & 0xC0) != 0x80) {
            error->column++;
        }
    }
}

// Offset of the bracket that opens one level too many, or text.len. Exact for
// JSON; jansson never gets deeper in what is not JSON, because it stops at the
// first byte that does not belong.
static size_t find_too_deep(struct slice text)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > DOC_DEPTH_MAX)
                return i;
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return text.len;
}

// Our words for the mistakes whose texts quote the document beyond " near 'x'"
// or speak of jansson's own switches; NULL for the others.
static const char *own_words(const json_error_t *from)
{
    switch (json_error_code(from)) {
    case json_error_invalid_utf8:
        return "invalid UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "NUL characters are not allowed";
    default:
        return strncmp(from->text, "invalid Unicode", 15) == 0 ? "invalid Unicode escape" : NULL;
    }
}

static void describe(struct slice text, const json_error_t *from, struct doc_error *error)
{
    const char *words = own_words(from);
    snprintf(error->text, sizeof(error->text), "%s", words != NULL ? words : from->text);
    char *quotation = strstr(error->text, " near '");
    if (quotation != NULL)
        *quotation = '\0';
    error->line = from->line > 0 ? from->line : 1;
    error->column = from->column > 0 ? from->column : 1;
    // jansson stops before a byte that it cannot read, otherwise behind what it read.
    if (json_error_code(from) == json_error_invalid_utf8)
        locate(text, (size_t)from->position, error);
}

json_t *doc_parse(struct slice text, struct doc_error *error)
{
    size_t too_deep = find_too_deep(text);
    if (too_deep < text.len) {
        locate(text, too_deep, error);
        snprintf(error->text, sizeof(error->text), "nesting is deeper than %d", DOC_DEPTH_MAX);
        return NULL;
    }
    json_error_t reason;
    json_t *doc = json_loadb(text.len > 0 ? text.ptr : "", text.len,
                             JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &reason);
    if (doc == NULL)
        describe(text, &reason, error);
    return doc;
}

// Length of the UTF-8 character that starts at s, or 0.
static size_t character(struct slice s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    size_t len = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    return s.len >= len && slice_is_utf8(slice_make(s.ptr, len)) ? len : 0;
}

static void write_control(struct buf *out, char c)
{
    static const char plain[] = "\b\f\n\r\t", letters[] = "bfnrt";
    const char *at = memchr(plain, c, sizeof(plain) - 1);
    if (at != NULL)
        buf_append(out, (const char[]){'\\', letters[at - plain]}, 2);
    else
        buf_printf(out, "\\u%04x", (unsigned)c);
}

// How many bytes at the start of s stand for themselves in a JSON string.
static size_t plain_run(struct slice s)
{
    size_t n = 0;
    while (n < s.len) {
        unsigned char c = (unsigned char)s.ptr[n];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
        n++;
    }
    return n;
}

// Writes the byte or character at the start of s that is not plain; returns its
// length.
static size_t write_special(struct buf *out, struct slice s)
{
    unsigned char c = (unsigned char)s.ptr[0];
    if (c >= 0x80) {
        size_t len = character(s);
        if (len == 0)
            buf_append_str(out, "\xEF\xBF\xBD");
        else
            buf_append(out, s.ptr, len);
        return len == 0 ? 1 : len;
    }
    if (c < 0x20)
        write_control(out, s.ptr[0]);
    else
        buf_append(out, (const char[]){'\\', s.ptr[0]}, 2);
    return 1;
}

json_t *doc_time(int64_t unix_s)
{
    char text[CLOCK_RFC3339_MAX];
    if (unix_s <= 0 || unix_s > CLOCK_UNIX_MAX)
        return json_null();
    clock_format_rfc3339(unix_s, "Z", text);
    return json_string(text);
}

void doc_write_string(struct buf *out, struct slice text)
{
    buf_append_char(out, '"');
    while (text.len > 0) {
        size_t run = plain_run(text);
        buf_append(out, text.ptr, run);
        text = slice_skip(text, run);
        if (text.len > 0)
            text = slice_skip(text, write_special(out, text));
    }
    buf_append_char(out, '"');
}

// The shortest of two precisions that reads back as the same number, always
// with a point or an exponent, so that a real stays a real.
static void write_real(struct buf *out, double number)
{
    char text[40];
    CM_ASSERT(isfinite(number));
    snprintf(text, sizeof(text), "%.15g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof(text), "%.17g", number);
    buf_append_str(out, text);
    if (strpbrk(text, ".e") == NULL)
        buf_append_str(out, ".0");
}

static void write_array(struct buf *out, const json_t *array)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            buf_append_char(out, ',');
        doc_write(out, json_array_get(array, i));
    }
    buf_append_char(out, ']');
}

static void write_object(struct buf *out, json_t *object)
{
    buf_append_char(out, '{');
    const size_t start = out->len;
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        if (out->len > start)
            buf_append_char(out, ',');
        doc_write_string(out, slice_of(json_object_iter_key(at)));
        buf_append_char(out, ':');
        doc_write(out, json_object_iter_value(at));
    }
    buf_append_char(out, '}');
}

// A document cannot hold itself and is at most DOC_DEPTH_MAX (or, made by us, a
// few levels) deep, so recursion is bounded.
void doc_write(struct buf *out, const json_t *doc)
{
    switch (json_typeof(doc)) {
    case JSON_OBJECT:
        write_object(out, (json_t *)doc);
        break;
    case JSON_ARRAY:
        write_array(out, doc);
        break;
    case JSON_STRING:
        doc_write_string(out, doc_string(doc));
        break;
    case JSON_INTEGER:
        buf_append_i64(out, json_integer_value(doc));
        break;
    case JSON_REAL:
        write_real(out, json_real_value(doc));
        break;
    case JSON_TRUE:
        buf_append_str(out, "true");
        break;
    case JSON_FALSE:
        buf_append_str(out, "false");
        break;
    case JSON_NULL:
        buf_append_str(out, "null");
        break;
    }
}

struct slice doc_string(const json_t *doc)
{
    if (!json_is_string(doc))
        return SLICE_NONE;
    return slice_make(json_string_value(doc), json_string_length(doc));
}
