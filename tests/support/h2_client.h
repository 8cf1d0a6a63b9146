// SPDX-License-Identifier: Apache-2.0
// HTTP/2 frames by hand over a raw_client: says what it is told, right or wrong, and
// takes frames one at a time.
#pragma once

#include "tests/support/raw_client.h"

enum {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION
};
enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4, H2_PADDED = 8 };
enum { H2_INITIAL_WINDOW = 4, H2_HEADER_TABLE = 1 };

// Payload lives until the next frame is taken.
struct h2_frame {
    int type, flags;
    unsigned stream;
    struct slice payload;
};

// What came on one stream until its end: the frames between belong to others.
struct h2_response {
    int status;
    struct slice body; // until the next response is taken
    int reset;         // the code of RST_STREAM, -1 = ended by END_STREAM
};

// The preface and SETTINGS, of which initial_window is the only one (-1 = none).
void h2_open(struct raw_client *c, long initial_window);
void h2_send(struct raw_client *c, int type, int flags, unsigned stream, struct slice payload);
void h2_send_u32(struct raw_client *c, int type, int flags, unsigned stream, uint32_t value);
void h2_send_setting(struct raw_client *c, int id, uint32_t value);
// HEADERS of a request, its block appended to by extra (may be SLICE_NONE).
void h2_request(struct raw_client *c, unsigned stream, const char *method, const char *path,
                int flags, struct slice extra);
// A literal field, never indexed.
void h2_put_field(struct buf *block, const char *name, const char *value);

// The next frame; fails the test when none comes in five seconds.
struct h2_frame h2_read(struct raw_client *c);
// Skips to the next frame of that type on that stream.
struct h2_frame h2_read_type(struct raw_client *c, int type, unsigned stream);
struct h2_response h2_response(struct raw_client *c, unsigned stream);
uint32_t h2_u32(struct slice bytes, size_t at);
