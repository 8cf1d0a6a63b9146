// SPDX-License-Identifier: Apache-2.0
// ULIDs: 48 bits of milliseconds and 80 random bits as 26 digits of Crockford's
// base32, so that ids sort by the time of their making. Inside one millisecond
// the random part counts up, which keeps ids of one process in order; any other
// millisecond, also an earlier one after the clock was set back, draws afresh:
// an id tells the time that its caller gave.
#include "common/model/secret.h"

enum { TIME_DIGITS = 10, HALF_DIGITS = 8, HALF_BITS = 40 };

static const uint64_t half_mask = ((uint64_t)1 << HALF_BITS) - 1;

// Of the last id; the one thread's own.
static int64_t last_ms = -1;
static uint64_t last_high, last_low; // the random part, 40 bits each

static void draw(void)
{
    util_random(&last_high, sizeof(last_high));
    util_random(&last_low, sizeof(last_low));
    last_high &= half_mask;
    last_low &= half_mask;
}

// A carry out of all 80 bits has a chance of one in 2^80 and wraps.
static void count_up(void)
{
    last_low = (last_low + 1) & half_mask;
    if (last_low == 0)
        last_high = (last_high + 1) & half_mask;
}

static char *write_base32(uint64_t number, unsigned digits, char *out)
{
    static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (unsigned i = 0; i < digits; i++)
        out[i] = crockford[number >> 5 * (digits - 1 - i) & 31];
    return out + digits;
}

void secret_ulid(int64_t wall_ms, char out[SECRET_ULID_LEN + 1])
{
    CM_ASSERT(wall_ms >= 0 && wall_ms < (int64_t)1 << 48);
    if (wall_ms == last_ms)
        count_up();
    else
        draw();
    last_ms = wall_ms;
    out = write_base32((uint64_t)wall_ms, TIME_DIGITS, out);
    out = write_base32(last_high, HALF_DIGITS, out);
    out = write_base32(last_low, HALF_DIGITS, out);
    *out = '\0';
}
