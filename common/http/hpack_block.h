// SPDX-License-Identifier: Apache-2.0
// A block of header fields as it comes in (RFC 7541), before libh2o decodes it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HPACK_BLOCK_MAX = 32 * 1024,
    // Room for the longest block with all its values spelled out.
    HPACK_BLOCK_ROOM = 2 * HPACK_BLOCK_MAX
};

// Counts the fields of a block of at most HPACK_BLOCK_MAX bytes, and writes the same
// block to out (HPACK_BLOCK_ROOM bytes) with Huffman-coded values spelled out where
// that is quick; *out_len is its length. Stops, with more than fields_max as the
// count and nothing to be used in out, when there are more. What is broken stays as
// it is: the parser's to refuse.
unsigned hpack_block_read(const uint8_t *src, size_t len, unsigned fields_max, uint8_t *out,
                          size_t *out_len);
