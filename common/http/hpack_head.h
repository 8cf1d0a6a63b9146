// SPDX-License-Identifier: Apache-2.0
// The head of an answer on its way out over HTTP/2 (RFC 7541).
#pragma once

#include <stdint.h>

#include "common/http/reply.h"

enum { HPACK_KNOWN_MAX = 20 };

// What the encoder has put into the peer's table, oldest first. Zero it: nothing.
struct hpack_known {
    const struct reply_constant *headers[HPACK_KNOWN_MAX];
    unsigned count, next;
    unsigned bytes; // as the standard counts them (4.1)
};

struct st_h2o_buffer_t;
struct st_h2o_res_t;

// An answer's head, and where it goes.
struct hpack_head {
    const struct st_h2o_res_t *res;
    const char *date;      // of H2O_TIMESTR_RFC1123_LEN characters
    size_t content_length; // SIZE_MAX = none
    uint32_t stream_id;
    size_t frame_max;
    size_t table_size;  // that the peer has room for
    bool table_changed; // since the last head: the peer must be told
};

// Appends the head to *buf, as a HEADERS frame and perhaps CONTINUATIONs. known is
// what the peer knows from the heads before, and grows; a changed table is empty.
void hpack_head_write(struct st_h2o_buffer_t **buf, struct hpack_known *known,
                      const struct hpack_head *head);
