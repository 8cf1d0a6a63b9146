// SPDX-License-Identifier: Apache-2.0
// The two clocks: one that only runs forward (and counts suspend), and the wall.
#pragma once

#include <stddef.h>
#include <stdint.h>

// CLOCK_BOOTTIME: leases must not stop while the machine is suspended. Counted from
// long before the boot, so that a time before it can be written too.
uint64_t clock_boot_us(void);
uint64_t clock_boot_ms(void);
// Processor time of the calling thread.
uint64_t clock_thread_us(void);
// CLOCK_REALTIME since the Unix epoch.
int64_t clock_wall_ms(void);
int64_t clock_wall_s(void); // by the kernel's last tick: a few milliseconds late, and cheap

// A moment as it can be kept on disk: by the clock of this boot, which means
// nothing after the next one, and by the wall.
struct clock_stamp {
    char boot_id[37]; // 36 characters of the kernel's and NUL
    uint64_t boot_ms; // as clock_boot_ms
    int64_t wall_ms;
};
// The stamp of a moment of this boot, not in the future.
void clock_stamp_make(struct clock_stamp *s, uint64_t boot_ms);
// That moment as clock_boot_ms counts, or 0: it cannot be known. Of this boot it
// is exact, whatever was done to the wall clock. Else its age is what the wall says,
// at least the time since the boot; a wall that is behind the stamp, or behind
// seen_wall_ms (the newest that anybody has written down), was set back, and what
// it says of ages is worth nothing.
uint64_t clock_stamp_read(const struct clock_stamp *s, int64_t seen_wall_ms);

// "2024-05-20T21:10:00+00:00" is 25 bytes, "2024-05-20T21:10:00Z" is 20.
enum { CLOCK_RFC3339_MAX = 40 };
// The last second of the year 9999, the last that RFC 3339 can write.
#define CLOCK_UNIX_MAX INT64_C(253402300799)
// Seconds since the epoch as RFC 3339 with the given suffix ("+00:00" or "Z").
// Any year 0..9999 (callers validate the range). Writes a NUL-ended string.
void clock_format_rfc3339(int64_t unix_s, const char *suffix, char out[CLOCK_RFC3339_MAX]);
// Accepts "YYYY-MM-DDTHH:MM:SS[.fraction](Z|+HH:MM|-HH:MM)", T and Z in any
// case; the fraction is cut. False leaves *unix_s unchanged.
_Bool clock_parse_rfc3339(const char *text, size_t len, int64_t *unix_s);
