// SPDX-License-Identifier: Apache-2.0
// Which handler a method and a path mean: a table of templates, matched on the
// raw path, so that %2F inside an argument stays what the client wrote.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"

struct request;

enum { ROUTE_ARGS_MAX = 3 };

enum route_flag {
    ROUTE_WRITE = 1,         // needs an editor, unless it is a dry run
    ROUTE_BODY = 2,          // needs a JSON body
    ROUTE_BODY_OPTIONAL = 4, // may have one
    ROUTE_MERGE_PATCH = 8,   // application/merge-patch+json is welcome too
};

struct route {
    const char *method;
    // Below /admin/v1. A segment is a literal, {one argument}, {a|b} (one of
    // these words) or, at the end, {the rest...}, slashes included.
    const char *path;
    unsigned flags;
    const char *parameters; // blank-separated names; dry_run is added to writes
    void (*handle)(struct request *r);
};

struct route_match {
    const struct route *route;
    size_t arg_count;
    struct slice args[ROUTE_ARGS_MAX]; // raw, not decoded; never empty
};

enum route_status { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

// HEAD finds GET's route. With ROUTE_NO_METHOD allow gets the value of the Allow
// header, else it is empty; *out is set only when found.
CM_MUST_CHECK enum route_status route_find(const struct route *table, size_t count,
                                           struct slice method, struct slice path,
                                           struct route_match *out, struct buf *allow);

// Percent-decodes once into out (raw.len bytes are enough) and sets *len. False
// for a bad escape, a NUL, or bytes that are not UTF-8.
CM_MUST_CHECK bool route_decode(struct slice raw, bool plus_is_blank, char *out, size_t *len);
