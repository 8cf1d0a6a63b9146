// SPDX-License-Identifier: Apache-2.0
// Chance and bytes.
#include "fuzz_burst.h"

#include <arpa/inet.h>
#include <string.h>

struct burst_target burst_target;
uint8_t burst[BURST_MAX];
size_t burst_used;
static uint64_t random_state;

uint32_t draw(uint32_t n) // xorshift64*
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 0x2545F4914F6CDD1DULL >> 33) % n;
}

bool once_in(uint32_t n)
{
    return draw(n) == 0;
}

// SplitMix64's finalizer: neighbouring numbers give unlike bursts.
void burst_begin(uint64_t seed, uint64_t number)
{
    uint64_t n = seed + number * 0x9E3779B97F4A7C15ULL;
    n = (n ^ (n >> 30)) * 0xBF58476D1CE4E5B9ULL;
    n = (n ^ (n >> 27)) * 0x94D049BB133111EBULL;
    random_state = (n ^ (n >> 31)) | 1;
    burst_used = 0;
}

void put(const void *bytes, size_t len)
{
    if (len > sizeof(burst) - burst_used)
        len = sizeof(burst) - burst_used;
    memcpy(burst + burst_used, bytes, len);
    burst_used += len;
}

void put_text(const char *text)
{
    put(text, strlen(text));
}

void put_byte(uint32_t value)
{
    uint8_t byte = (uint8_t)value;
    put(&byte, 1);
}

void put_u32(uint32_t value)
{
    value = htonl(value);
    put(&value, sizeof(value));
}

void put_noise(size_t len)
{
    for (size_t i = 0; i < len; i++)
        put_byte(draw(256));
}

void put_fill(char c, size_t len)
{
    for (size_t i = 0; i < len && burst_used < sizeof(burst); i++)
        put(&c, 1);
}

uint32_t telling_number(void)
{
    static const uint32_t numbers[] = {0,     1,     2,     3,          99,         100,
                                       101,   255,   4096,  16383,      16384,      16385,
                                       65534, 65535, 65536, 0x7ffffffe, 0x7fffffff, 0x80000000,
                                       1000,  8192,  20000, 0xffffff,   0xffffffff, 150000};
    return once_in(3) ? draw(UINT32_MAX) : numbers[draw(sizeof(numbers) / sizeof(*numbers))];
}

void burst_spoil(void)
{
    if (!once_in(3) || burst_used == 0)
        return;
    for (uint32_t n = 1 + draw(4); n > 0; n--)
        burst[draw((uint32_t)burst_used)] = (uint8_t)draw(256);
    if (once_in(4))
        burst_used = draw((uint32_t)burst_used + 1);
}
