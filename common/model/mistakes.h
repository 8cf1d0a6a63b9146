// SPDX-License-Identifier: Apache-2.0
// The list of mistakes that a validator collects, in RFC 9457's terms: where,
// what kind, and a sentence.
#pragma once

#include <stddef.h>

#include "common/base/slice.h"

enum { MISTAKES_MAX = 32, MISTAKE_POINTER_MAX = 96, MISTAKE_DETAIL_MAX = 160 };

// pointer is a JSON pointer as fragment ("#/context_length").
struct mistake {
    char pointer[MISTAKE_POINTER_MAX];
    const char *code; // a literal: "out_of_range", "unknown_field", "required", "invalid", ...
    char detail[MISTAKE_DETAIL_MAX];
};

// What a validator found; past MISTAKES_MAX only counted.
struct mistakes {
    size_t count;
    struct mistake items[MISTAKES_MAX];
};

// Empties it; nothing needs to be freed. items past count are not set.
void mistakes_init(struct mistakes *m);
// Copies pointer and detail; what is too long is cut on a character boundary.
// m may be NULL: then nobody asks why.
void mistakes_add(struct mistakes *m, const char *pointer, const char *code, const char *format,
                  ...) CM_PRINTF(4, 5);
// An "unknown_field" mistake for a member of the object at `pointer`; names the
// nearest of the known names when one is at most two edits away.
void mistakes_add_unknown(struct mistakes *m, const char *pointer, struct slice member,
                          const char *const *known, size_t known_count);
// Puts `pointer` ("#/models/3") before the pointers of the mistakes from number
// `from` on, for a validator that saw only a part of a document.
void mistakes_prefix(struct mistakes *m, size_t from, const char *pointer);

// pointer + "/" + member, escaped for RFC 6901 (~0 ~1) and for a URI fragment
// (percent). Cut before the first byte that does not fit, never inside an
// escape. out may not be pointer.
void mistake_pointer(char out[MISTAKE_POINTER_MAX], const char *pointer, struct slice member);
void mistake_pointer_index(char out[MISTAKE_POINTER_MAX], const char *pointer, size_t index);
