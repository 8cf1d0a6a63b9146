// SPDX-License-Identifier: Apache-2.0
// Collecting mistakes. Whatever the input was, the texts stay bounded and valid
// UTF-8, because they end in an answer; past MISTAKES_MAX only the count rises.
#include "common/model/mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/nearest.h"

enum { NEAR_EDITS = 2 };

static size_t listed(const struct mistakes *m)
{
    return m->count < MISTAKES_MAX ? m->count : MISTAKES_MAX;
}

// Copies what fits with a NUL.
static void copy(char *out, size_t size, struct slice text)
{
    size_t len = slice_utf8_cut(text, size - 1);
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

void mistakes_init(struct mistakes *m)
{
    m->count = 0;
}

void mistakes_add(struct mistakes *m, const char *pointer, const char *code, const char *format,
                  ...)
{
    if (m == NULL)
        return;
    if (m->count++ >= MISTAKES_MAX)
        return;
    struct mistake *item = &m->items[m->count - 1];
    char detail[4 * MISTAKE_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    copy(item->detail, sizeof(item->detail), slice_of(detail));
    copy(item->pointer, sizeof(item->pointer), slice_of(pointer));
    item->code = code;
}

void mistakes_add_unknown(struct mistakes *m, const char *pointer, struct slice member,
                          const char *const *known, size_t known_count)
{
    char at[MISTAKE_POINTER_MAX];
    mistake_pointer(at, pointer, member);
    struct nearest best;
    nearest_init(&best, member, NEAR_EDITS);
    for (size_t i = 0; i < known_count; i++)
        nearest_offer(&best, slice_of(known[i]));
    if (best.found.len > 0)
        mistakes_add(m, at, "unknown_field", "unknown field; did you mean \"%.*s\"?",
                     SLICE_FMT(best.found));
    else
        mistakes_add(m, at, "unknown_field", "unknown field");
}

void mistakes_prefix(struct mistakes *m, size_t from, const char *pointer)
{
    for (size_t i = from; i < listed(m); i++) {
        char whole[2 * MISTAKE_POINTER_MAX];
        const char *own = m->items[i].pointer;
        snprintf(whole, sizeof(whole), "%s%s", pointer, own[0] == '#' ? own + 1 : own);
        copy(m->items[i].pointer, sizeof(m->items[i].pointer), slice_of(whole));
    }
}

// May stand in a URI fragment as it is (RFC 3986 3.5); '~' and '/' are RFC
// 6901's own and handled before.
static bool is_fragment_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._!$&'()*+,;=:@?", c) != NULL);
}

// Writes c as it is to stand in a pointer, NUL-ended.
static void escape(char c, char out[4])
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;
    if (c == '~' || c == '/')
        memcpy(out, c == '~' ? "~0" : "~1", 3);
    else if (is_fragment_byte(c))
        memcpy(out, (const char[]){c, '\0'}, 2);
    else
        memcpy(out, (const char[]){'%', digits[byte >> 4], digits[byte & 15], '\0'}, 4);
}

void mistake_pointer(char out[MISTAKE_POINTER_MAX], const char *pointer, struct slice member)
{
    int written = snprintf(out, MISTAKE_POINTER_MAX, "%s/", pointer);
    size_t len = written < MISTAKE_POINTER_MAX ? (size_t)written : MISTAKE_POINTER_MAX - 1;
    for (size_t i = 0; i < member.len; i++) {
        char escaped[4];
        escape(member.ptr[i], escaped);
        size_t more = strlen(escaped);
        if (len + more >= MISTAKE_POINTER_MAX)
            return;
        memcpy(out + len, escaped, more + 1);
        len += more;
    }
}

void mistake_pointer_index(char out[MISTAKE_POINTER_MAX], const char *pointer, size_t index)
{
    snprintf(out, MISTAKE_POINTER_MAX, "%s/%zu", pointer, index);
}
