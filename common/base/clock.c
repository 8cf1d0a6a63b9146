// SPDX-License-Identifier: Apache-2.0
// Reading clocks and writing dates. The calendar is the proleptic Gregorian one
// in both directions, computed from days so that no time zone can interfere.
#include "common/base/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Some 35 years before the boot.
#define BEFORE_BOOT_MS (UINT64_C(1) << 40)

static uint64_t read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

uint64_t clock_boot_us(void)
{
    return read_us(CLOCK_BOOTTIME) + BEFORE_BOOT_MS * 1000;
}

uint64_t clock_boot_ms(void)
{
    return clock_boot_us() / 1000;
}

uint64_t clock_thread_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_wall_ms(void)
{
    return (int64_t)(read_us(CLOCK_REALTIME) / 1000);
}

int64_t clock_wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec;
}

static void read_boot_id(char out[37])
{
    memset(out, 0, 37);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, out, 36) != 36)
        memset(out, 0, 37);
    if (fd >= 0)
        close(fd);
}

static const char *boot_id(void)
{
    static char id[37];
    if (id[0] == '\0')
        read_boot_id(id);
    return id;
}

void clock_stamp_make(struct clock_stamp *s, uint64_t boot_ms)
{
    memcpy(s->boot_id, boot_id(), sizeof(s->boot_id));
    s->boot_ms = boot_ms;
    s->wall_ms = clock_wall_ms() - (int64_t)(clock_boot_ms() - boot_ms);
}

uint64_t clock_stamp_read(const struct clock_stamp *s, int64_t seen_wall_ms)
{
    uint64_t now = clock_boot_ms(), up = now - BEFORE_BOOT_MS;
    int64_t wall = clock_wall_ms(), age = wall - s->wall_ms;
    if (s->boot_id[0] != '\0' && strcmp(s->boot_id, boot_id()) == 0)
        return s->boot_ms <= now ? s->boot_ms : 0;
    if (age < 0 || wall < seen_wall_ms || (uint64_t)age >= BEFORE_BOOT_MS)
        return 0;
    return now - ((uint64_t)age > up ? (uint64_t)age : up);
}

// Days since 1970-01-01 of a Gregorian date; years run from March so that the
// leap day is the last of its year.
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t shifted = (5 * doy + 2) / 153;
    *day = doy - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = yoe + era * 400 + (*month <= 2);
}

void clock_format_rfc3339(int64_t unix_s, const char *suffix, char out[CLOCK_RFC3339_MAX])
{
    int64_t days = unix_s / 86400 - (unix_s % 86400 < 0);
    int second = (int)(unix_s - days * 86400);
    int64_t year, month, day;
    date_of(days, &year, &month, &day);
    snprintf(out, CLOCK_RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d%s", (int)year, (int)month,
             (int)day, second / 3600, second / 60 % 60, second % 60, suffix);
}

// Reads exactly n digits at text[*at], moves *at on.
static bool number(const char *text, size_t len, size_t *at, size_t n, int64_t *out)
{
    int64_t value = 0;
    if (len - *at < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[*at + i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *at += n;
    *out = value;
    return true;
}

static bool literal(const char *text, size_t len, size_t *at, char a, char b)
{
    if (*at >= len || (text[*at] != a && text[*at] != b))
        return false;
    ++*at;
    return true;
}

static bool offset(const char *text, size_t len, size_t *at, int64_t *seconds)
{
    int64_t hours, minutes;
    *seconds = 0;
    if (literal(text, len, at, 'Z', 'z'))
        return true;
    int sign = *at < len && text[*at] == '-' ? -1 : 1;
    if (!literal(text, len, at, '+', '-') || !number(text, len, at, 2, &hours) ||
        !literal(text, len, at, ':', ':') || !number(text, len, at, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool fraction(const char *text, size_t len, size_t *at)
{
    if (!literal(text, len, at, '.', '.'))
        return true;
    size_t start = *at;
    while (*at < len && text[*at] >= '0' && text[*at] <= '9')
        ++*at;
    return *at > start;
}

static int64_t days_in(int64_t year, int64_t month)
{
    return days_of(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) -
           days_of(year, month, 1);
}

_Bool clock_parse_rfc3339(const char *text, size_t len, int64_t *unix_s)
{
    size_t at = 0;
    int64_t y, mo, d, h, mi, s, shift;
    if (!number(text, len, &at, 4, &y) || !literal(text, len, &at, '-', '-') ||
        !number(text, len, &at, 2, &mo) || !literal(text, len, &at, '-', '-') ||
        !number(text, len, &at, 2, &d) || !literal(text, len, &at, 'T', 't') ||
        !number(text, len, &at, 2, &h) || !literal(text, len, &at, ':', ':') ||
        !number(text, len, &at, 2, &mi) || !literal(text, len, &at, ':', ':') ||
        !number(text, len, &at, 2, &s) || !fraction(text, len, &at) ||
        !offset(text, len, &at, &shift) || at != len)
        return false;
    if (mo < 1 || mo > 12 || d < 1 || d > days_in(y, mo) || h > 23 || mi > 59 || s > 60)
        return false;
    *unix_s = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - shift;
    return true;
}
