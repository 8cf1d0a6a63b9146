// SPDX-License-Identifier: Apache-2.0
// Reading Accept-Encoding. A coding that is named counts with its own weight,
// one that is not takes that of "*"; a member that is not well formed is
// passed over. Of a coding named twice the higher weight counts.
#include "common/model/negotiate.h"

enum { WEIGHT_ONE = 1000, WEIGHT_NONE = -1 };

// "0", "0.75", "1", "1.000": at most three decimals. WEIGHT_NONE for anything else.
static int parse_weight(struct slice text)
{
    if (text.len < 1 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1'))
        return WEIGHT_NONE;
    int weight = text.ptr[0] == '1' ? WEIGHT_ONE : 0;
    if (text.len > 1 && text.ptr[1] != '.')
        return WEIGHT_NONE;
    int unit = WEIGHT_ONE / 10;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return WEIGHT_NONE;
        weight += (text.ptr[i] - '0') * unit;
    }
    return weight <= WEIGHT_ONE ? weight : WEIGHT_NONE;
}

// The weight in what follows a coding's name (";q=0.5"); 1 when none is given.
static int find_weight(struct slice parameters)
{
    int weight = WEIGHT_ONE;
    while (parameters.len > 0) {
        struct slice value = slice_trim(slice_take(&parameters, ';'));
        struct slice name = slice_trim(slice_take(&value, '='));
        if (slice_equal_nocase(name, SLICE_LIT("q")))
            weight = parse_weight(slice_trim(value));
    }
    return weight;
}

static void raise_to(int *weight, int given)
{
    if (given > *weight)
        *weight = given;
}

bool accepts_gzip(struct slice accept_encoding)
{
    int gzip = WEIGHT_NONE;
    int identity = WEIGHT_NONE;
    int any = WEIGHT_NONE;
    while (accept_encoding.len > 0) {
        struct slice parameters = slice_take(&accept_encoding, ',');
        struct slice coding = slice_trim(slice_take(&parameters, ';'));
        int weight = find_weight(parameters);
        if (slice_equal_nocase(coding, SLICE_LIT("gzip")) ||
            slice_equal_nocase(coding, SLICE_LIT("x-gzip")))
            raise_to(&gzip, weight);
        else if (slice_equal_nocase(coding, SLICE_LIT("identity")))
            raise_to(&identity, weight);
        else if (slice_equal(coding, SLICE_LIT("*")))
            raise_to(&any, weight);
    }
    if (gzip == WEIGHT_NONE)
        gzip = any;
    if (identity == WEIGHT_NONE)
        identity = any;
    return gzip > 0 && gzip >= identity;
}
