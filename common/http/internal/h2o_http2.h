// SPDX-License-Identifier: Apache-2.0
// libh2o's own view of an HTTP/2 connection, as its package ships it but does not
// promise it. What is used of it is nailed down here; at run time it is trusted
// only on builds of the library that were verified (library.h).
#pragma once

#include <h2o.h>
#include <h2o/http2.h>
#include <h2o/http2_internal.h>

_Static_assert(sizeof(h2o_http2_stream_t) == 880 && offsetof(h2o_http2_stream_t, state) == 40 &&
                   offsetof(h2o_http2_stream_t, output_window) == 48 &&
                   offsetof(h2o_http2_stream_t, _req_body) == 80 &&
                   offsetof(h2o_http2_stream_t, req) == 272,
               "a stream of libh2o 2.2.5");
_Static_assert(sizeof(h2o_http2_conn_t) == 472 && offsetof(h2o_http2_conn_t, sock) == 48 &&
                   offsetof(h2o_http2_conn_t, streams) == 80 &&
                   offsetof(h2o_http2_conn_t, num_streams) == 100 &&
                   offsetof(h2o_http2_conn_t, state) == 168 &&
                   offsetof(h2o_http2_conn_t, _headers_unparsed) == 376 &&
                   offsetof(h2o_http2_conn_t, _write) == 384,
               "a connection of libh2o 2.2.5");
_Static_assert(sizeof(h2o_http2_frame_t) == 24 && sizeof(h2o_http2_settings_t) == 20,
               "frames and settings of libh2o 2.2.5");
