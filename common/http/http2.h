// SPDX-License-Identifier: Apache-2.0
// A look at an HTTP/2 connection of libh2o, and the goodbye that we say ourselves.
// For connections with conn->http2 that have not been let go of.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct conn;

// What a peer has begun to send and not finished.
enum http2_receiving {
    HTTP2_NOTHING,
    HTTP2_FRAME, // the preface or a part of a frame
    HTTP2_BLOCK, // a header block without its end
    HTTP2_BODY   // requests whose bodies go on
};
enum http2_receiving http2_receiving(const struct conn *conn);
// An error has ended it: only the write under way is awaited.
bool http2_is_over(const struct conn *conn);
// No stream is open and everything said has been given to the kernel.
bool http2_is_done(const struct conn *conn);
// GOAWAY without an error. Before the last one everything is still answered; the
// last one names the newest stream, which conn->last_stream is then.
void http2_goaway(struct conn *conn, bool last);
