// SPDX-License-Identifier: Apache-2.0
// The query string, strict: every parameter is known to the route, given once,
// and means something.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/problem.h"
#include "common/base/slice.h"

enum { QUERY_MAX = 16 };

// Decoded; owns its bytes in one allocation. A zeroed struct is an empty query.
struct query {
    size_t count;
    struct {
        struct slice name, value;
    } items[QUERY_MAX];
    char *bytes;
};

// known: blank-separated names. False with *problem set (400 unknown_parameter,
// invalid_parameter); the query is then empty.
CM_MUST_CHECK bool query_parse(struct query *q, struct slice text, const char *known,
                               struct problem *problem);
void query_fini(struct query *q);
// ptr NULL when absent.
struct slice query_get(const struct query *q, const char *name);
// The getters leave *out alone when the parameter is absent, and are false with
// *problem set when it is not of its kind.
CM_MUST_CHECK bool query_uint(const struct query *q, const char *name, uint64_t min, uint64_t max,
                              uint64_t *out, struct problem *problem);
CM_MUST_CHECK bool query_bool(const struct query *q, const char *name, bool *out,
                              struct problem *problem);
// words: "active|disabled"; *out is the index of the one given.
CM_MUST_CHECK bool query_word(const struct query *q, const char *name, const char *words, int *out,
                              struct problem *problem);
