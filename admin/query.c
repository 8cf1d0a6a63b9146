// SPDX-License-Identifier: Apache-2.0
// The public API takes any query string; this one takes none that it does not
// understand, because here a misspelt ?dry_run would be a change.
#include "admin/query.h"

#include <stdlib.h>
#include <string.h>

#include "admin/route.h"

static bool is_listed(const char *list, char sep, struct slice word, int *at)
{
    struct slice rest = slice_of(list);
    for (int i = 0; rest.len > 0; i++)
        if (slice_equal(slice_take(&rest, sep), word)) {
            *at = i;
            return true;
        }
    return false;
}

static bool refuse(struct problem *problem, struct slice name, const char *why)
{
    problem_set(problem, PROBLEM_INVALID_PARAMETER, "%.*s: %s", SLICE_FMT(name), why);
    return false;
}

// Decodes text into *at and moves *at behind it.
static bool decode(struct slice text, char **at, struct slice *out)
{
    size_t len = 0;
    if (!route_decode(text, true, *at, &len))
        return false;
    *out = slice_make(*at, len);
    *at += len;
    return true;
}

static bool add(struct query *q, struct slice pair, char **at, const char *known,
                struct problem *problem)
{
    struct slice value = pair;
    struct slice name = slice_take(&value, '=');
    int ignored;
    if (!decode(name, at, &name) || !decode(value, at, &value))
        return refuse(problem, SLICE_LIT("query string"), "a percent escape is wrong");
    if (!is_listed(known, ' ', name, &ignored)) {
        problem_set(problem, PROBLEM_UNKNOWN_PARAMETER, "This request has no parameter '%.*s'.",
                    (int)slice_utf8_cut(name, 64), name.len > 0 ? name.ptr : "");
        return false;
    }
    for (size_t i = 0; i < q->count; i++)
        if (slice_equal(q->items[i].name, name))
            return refuse(problem, name, "given twice");
    CM_ASSERT(q->count < QUERY_MAX); // known names only, each once
    q->items[q->count].name = name;
    q->items[q->count].value = value;
    q->count++;
    return true;
}

bool query_parse(struct query *q, struct slice text, const char *known, struct problem *problem)
{
    *q = (struct query){.bytes = xmalloc(text.len + 1)};
    char *at = q->bytes;
    while (text.len > 0) {
        struct slice pair = slice_take(&text, '&');
        if (pair.len > 0 && !add(q, pair, &at, known, problem)) {
            query_fini(q);
            return false;
        }
    }
    return true;
}

void query_fini(struct query *q)
{
    free(q->bytes);
    *q = (struct query){.count = 0};
}

struct slice query_get(const struct query *q, const char *name)
{
    for (size_t i = 0; i < q->count; i++)
        if (slice_equal(q->items[i].name, slice_of(name)))
            return q->items[i].value;
    return SLICE_NONE;
}

bool query_uint(const struct query *q, const char *name, uint64_t min, uint64_t max, uint64_t *out,
                struct problem *problem)
{
    struct slice text = query_get(q, name);
    uint64_t n;
    if (text.ptr == NULL)
        return true;
    if (!slice_parse_u64(text, max, &n) || n < min) {
        problem_set(problem, PROBLEM_INVALID_PARAMETER, "%s: must be a number from %llu to %llu",
                    name, (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *out = n;
    return true;
}

bool query_word(const struct query *q, const char *name, const char *words, int *out,
                struct problem *problem)
{
    struct slice text = query_get(q, name);
    if (text.ptr == NULL || is_listed(words, '|', text, out))
        return true;
    problem_set(problem, PROBLEM_INVALID_PARAMETER, "%s: must be one of %s", name, words);
    return false;
}

bool query_bool(const struct query *q, const char *name, bool *out, struct problem *problem)
{
    int at = *out;
    if (!query_word(q, name, "false|true", &at, problem))
        return false;
    *out = at == 1;
    return true;
}
