// SPDX-License-Identifier: Apache-2.0
// One HTTP request as handlers see it. It lives in the request's pool; a
// handler that answers later holds it through call_defer.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/slice.h"

struct call;

enum { CALL_REQUEST_ID_LEN = 39 }; // "req_cm_" + 32 hex digits

// Views into the request's memory, valid until the reply is sent or the client is gone.
struct slice call_method(const struct call *c);
struct slice call_path(const struct call *c);  // raw bytes up to '?', not decoded
struct slice call_query(const struct call *c); // after '?'; ptr NULL when there is no '?'
// The first header of that lower-case name, blanks trimmed; ptr NULL when absent.
// Not for Host, Content-Length, Transfer-Encoding (h2o keeps them elsewhere).
struct slice call_header(const struct call *c, struct slice name);
struct slice call_body(const struct call *c); // ptr NULL when there was none
struct slice call_request_id(const struct call *c);
bool call_is_head(const struct call *c);
bool call_is_alone(const struct call *c); // nothing else is under way on its connection
// The client's address as text ("127.0.0.1"), into out.
struct slice call_peer(const struct call *c, char *out, size_t size);
// Connection-lifetime memory of size bytes, zeroed at the connection's first
// call; the size is given in server_options. NULL when that is 0.
void *call_connection_memory(const struct call *c);

// Memory of the request's life.
CM_MUST_CHECK void *call_alloc(struct call *c, size_t size);

// A call that will be answered in a later turn. It survives the client.
struct deferred;
CM_MUST_CHECK struct deferred *call_defer(struct call *c);
// The call, or NULL when the client has gone.
struct call *deferred_call(const struct deferred *d);
// Ends the connection without an answer, for a call about which nothing true can
// be said. The call is gone then. No-op when the client has gone already.
void deferred_cut(struct deferred *d);
// Exactly once: after the reply was sent, or when the call turned out gone.
void deferred_release(struct deferred *d);
