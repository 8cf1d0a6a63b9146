// SPDX-License-Identifier: Apache-2.0
// Pieces of a gzip member (RFC 1951, 1952) that can be joined as bytes: every
// piece starts and ends on a byte and refers to nothing before itself.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

enum { GZIP_STORED_MAX = 65535 };

// The member's header: no name, no time, so that equal content is equal bytes.
void gzip_append_header(struct buf *out);
// text as one stored block; at most GZIP_STORED_MAX bytes.
void gzip_append_stored(struct buf *out, struct slice text);
// text compressed, ended by an empty stored block that aligns it to a byte. What one key
// gets is compressed in half the time of what all get, and is a tenth larger.
enum gzip_for { GZIP_FOR_ALL, GZIP_FOR_ONE };
void gzip_append_deflated(struct buf *out, struct slice text, enum gzip_for whom);
// The end of the member: text as the last stored block, then the CRC-32 and the
// length (modulo 2^32) of everything inflated, text included.
void gzip_append_end(struct buf *out, struct slice text, uint32_t crc, uint64_t length);

// CRC-32 as RFC 1952 has it.
uint32_t gzip_crc(struct slice text);
// CRC-32 of a text a followed by a text b of b_len bytes.
uint32_t gzip_crc_join(uint32_t a_crc, uint32_t b_crc, size_t b_len);
