// SPDX-License-Identifier: Apache-2.0
// JSON text to jansson documents and back, under our limits.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/model/mistakes.h"

enum { DOC_DEPTH_MAX = 64 };

// Where a text stopped being JSON. line and column count characters from 1.
// text never quotes the document: it may hold a secret.
struct doc_error {
    int line;
    int column;
    char text[160];
};

// Strict parse: one value, UTF-8, no duplicate keys, nothing after it, nesting
// at most 64. Returns a new reference (json_decref) or NULL with *error set.
CM_MUST_CHECK json_t *doc_parse(struct slice text, struct doc_error *error);
// Appends compact JSON, object members in insertion order, no escaped slashes,
// non-ASCII as UTF-8. The same document always gives the same bytes.
void doc_write(struct buf *out, const json_t *doc);
// Appends text as a JSON string with its quotes. Bytes that are not UTF-8
// become U+FFFD.
void doc_write_string(struct buf *out, struct slice text);
// RFC 3339 with Z, as a new reference; null for 0 and for what no year up to 9999 has.
CM_MUST_CHECK json_t *doc_time(int64_t unix_s);
// View of a json string's bytes; SLICE_NONE when doc is not a string.
struct slice doc_string(const json_t *doc);
