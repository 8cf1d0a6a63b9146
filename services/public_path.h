// SPDX-License-Identifier: Apache-2.0
// What a request's path and method ask of the public API (SPEC 1.1).
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

enum public_route {
    PUBLIC_ROUTE_LIST,
    PUBLIC_ROUTE_MODEL,
    PUBLIC_ROUTE_PREFLIGHT,
    PUBLIC_ROUTE_WRONG_METHOD,
    PUBLIC_ROUTE_UNKNOWN
};

struct public_path {
    enum public_route route;
    struct slice name; // PUBLIC_ROUTE_MODEL: still percent-encoded; may be empty
};

// path: the raw bytes up to '?'. Nothing is normalised. name is a view of path.
struct public_path public_path_read(struct slice method, struct slice path);

// Percent-decodes a name once into out[name.len] ('+' stays a plus). False when
// it names no model: a bad escape, NUL, or bytes that are not UTF-8. *decoded is
// set in both cases (a bad escape stays as it was sent), for the error's text.
CM_MUST_CHECK bool public_path_decode(struct slice name, char *out, struct slice *decoded);
