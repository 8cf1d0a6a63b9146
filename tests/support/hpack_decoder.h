// SPDX-License-Identifier: Apache-2.0
// A decoder of header blocks (RFC 7541) as strict as a peer may be, of no more than
// our encoder says: it fails the test when that uses what is not there.
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

enum { HPACK_ENTRIES = 64, HPACK_TEXT = 20000 };

struct hpack_field {
    char name[40], value[HPACK_TEXT];
};

struct hpack_decoder {
    struct slice rest;
    struct hpack_field table[HPACK_ENTRIES]; // newest first
    size_t count, bytes, size;
    size_t allowed;   // what the encoder was told that the table may have
    bool must_update; // and it has to say so first
};

// A table of 4,096 bytes, as every connection begins.
void hpack_decoder_init(struct hpack_decoder *d);
// Evicts what does not fit into so many bytes.
void hpack_shrink(struct hpack_decoder *d, size_t bytes);
// A block as lines of "name: value", until the next one is decoded.
struct slice hpack_decode(struct hpack_decoder *d, struct slice block);
