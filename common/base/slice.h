// SPDX-License-Identifier: Apache-2.0
// A view of bytes that somebody else owns: pointer and length, never NUL-ended.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/util.h"

struct slice {
    const char *ptr; // may be NULL only when len is 0
    size_t len;
};

#define SLICE_NONE ((struct slice){NULL, 0})
// Of a string literal (or a char array that ends in NUL).
#define SLICE_LIT(literal) ((struct slice){(literal), sizeof(literal) - 1})
// For printf's "%.*s".
#define SLICE_FMT(s) (int)(s).len, (s).len == 0 ? "" : (s).ptr

// Of a NUL-ended string; NULL gives the empty slice.
struct slice slice_of(const char *text);
struct slice slice_make(const void *ptr, size_t len);

// The same bytes; empty slices are equal, whatever their ptr.
bool slice_equal(struct slice a, struct slice b);
bool slice_equal_nocase(struct slice a, struct slice b); // ASCII
// Bytewise order as memcmp; a proper prefix comes first. <0, 0, >0.
int slice_compare(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);
bool slice_contains_nocase(struct slice s, struct slice part); // ASCII

// Without the first n (or all) bytes.
struct slice slice_skip(struct slice s, size_t n);
// Without blanks and tabs (and CR, LF) at both ends.
struct slice slice_trim(struct slice s);
// Takes the part before the first sep off *rest and returns it; without sep it
// takes all and *rest becomes empty with ptr NULL. An empty *rest gives an
// empty part: loop with `while (rest.len > 0)`.
struct slice slice_take(struct slice *rest, char sep);

// Strict decimal: digits only, no sign, no blanks, no leading zero but "0"
// itself, at most max. On error *out is unchanged.
CM_MUST_CHECK bool slice_parse_u64(struct slice s, uint64_t max, uint64_t *out);

// RFC 3629: no overlong forms, no surrogates, at most U+10FFFF.
bool slice_is_utf8(struct slice s);
// Length of the longest prefix of at most max bytes that ends on a character
// boundary. Bytes that are not UTF-8 count as one character each.
size_t slice_utf8_cut(struct slice s, size_t max);

// NUL-ended copy on the heap; the caller frees it.
CM_MUST_CHECK char *slice_dup(struct slice s);
