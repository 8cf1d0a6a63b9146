// SPDX-License-Identifier: Apache-2.0
// Levenshtein distance by one row of the usual table. Words are short names;
// the first of several equally near ones stays.
#include "common/base/nearest.h"

enum { WORD_MAX = 64 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static size_t distance(struct slice a, struct slice b)
{
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a.ptr[i - 1] != b.ptr[j - 1]));
            diagonal = above;
        }
    }
    return row[b.len];
}

void nearest_init(struct nearest *n, struct slice word, size_t limit)
{
    *n = (struct nearest){.word = word, .found = SLICE_NONE, .distance = limit + 1};
}

void nearest_offer(struct nearest *n, struct slice candidate)
{
    if (n->word.len > WORD_MAX || candidate.len > WORD_MAX)
        return;
    size_t d = distance(n->word, candidate);
    if (d < n->distance) {
        n->distance = d;
        n->found = candidate;
    }
}
