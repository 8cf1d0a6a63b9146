// SPDX-License-Identifier: Apache-2.0
// JSON text to jansson documents and back, under our limits, and the list of
// mistakes that a validator collects.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

// Where a text stopped being JSON. line and column count from 1.
struct doc_error {
    int line;
    int column;
    char text[160];
};

// Strict parse: one value, UTF-8, no duplicate keys, nothing after it, nesting
// at most 64. Returns a new reference (json_decref) or NULL with *error set.
CM_MUST_CHECK json_t *doc_parse(struct slice text, struct doc_error *error);
// Appends compact JSON, object members in insertion order, no escaped slashes,
// non-ASCII as UTF-8.
void doc_write(struct buf *out, const json_t *doc);
// Appends text as a JSON string with its quotes. Bytes that are not UTF-8
// become U+FFFD.
void doc_write_string(struct buf *out, struct slice text);
// View of a json string's bytes; SLICE_NONE when doc is not a string.
struct slice doc_string(const json_t *doc);

// RFC 9457 "errors": pointer is a JSON pointer as fragment ("#/context_length").
struct mistake {
    char pointer[96];
    const char *code; // a literal: "out_of_range", "unknown_field", "required", "invalid", ...
    char detail[160];
};

enum { MISTAKES_MAX = 32 };

// What a validator found; past MISTAKES_MAX only counted.
struct mistakes {
    size_t count;
    struct mistake items[MISTAKES_MAX];
};

void mistakes_init(struct mistakes *m);
void mistakes_add(struct mistakes *m, const char *pointer, const char *code, const char *format,
                  ...) CM_PRINTF(4, 5);
