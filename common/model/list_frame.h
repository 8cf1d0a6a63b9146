// SPDX-License-Identifier: Apache-2.0
// What surrounds the pages of GET /v1/models: the opening with the alias lines,
// the closing with first_id and last_id; plain, and as the ends of a gzip member.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/model/digest.h"
#include "common/model/etag.h"

// The pages of a list as one text.
struct list_body {
    size_t length;                            // with the "," between pages
    uint32_t crc;                             // CRC-32 of it
    struct slice first_id_json, last_id_json; // empty when there is no model
    struct digest digest;                     // the same for the same text only
};

// The alias lines before it, joined by ",". A line has its target in the body,
// so there are none before an empty one.
struct list_lines {
    struct slice text;
    struct slice first_id_json; // empty when there is no line
};

struct list_face {
    struct slice opening;
    struct slice closing;
    struct etag etag;
};

// Owns its bytes. plain.opening + pages + plain.closing is the answer;
// gzip.opening + packed pages + gzip.closing is one gzip member that inflates to it.
struct list_frame {
    size_t bytes; // memory behind the slices
    struct list_face plain, gzip;
};

// Copies what it needs of body and lines.
void list_frame_init(struct list_frame *frame, const struct list_body *body,
                     const struct list_lines *lines);
void list_frame_fini(struct list_frame *frame);
