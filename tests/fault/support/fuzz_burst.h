// SPDX-License-Identifier: Apache-2.0
// The bytes that fuzz_client sends: one burst at a time, from a state that its seed and
// number alone decide. burst_h1.c and burst_h2.c make one by the rules of their protocol.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BURST_MAX = 64 * 1024 };

// What is asked for: set once, before the first burst.
struct burst_target {
    const char *authorization, *path;
    uint32_t length; // of the answer's body: windows of just that size are the worst
};

extern struct burst_target burst_target;
extern uint8_t burst[BURST_MAX];
extern size_t burst_used;

// An empty burst, and chance as it is for this seed and number.
void burst_begin(uint64_t seed, uint64_t number);
void burst_make_h1(void);
void burst_make_h2(void);
// A few bytes are not what they were.
void burst_spoil(void);

uint32_t draw(uint32_t n); // 0 .. n - 1
bool once_in(uint32_t n);
// A number of the kind that breaks things.
uint32_t telling_number(void);

// What does not fit is left out.
void put(const void *bytes, size_t len);
void put_text(const char *text);
void put_byte(uint32_t value);
void put_u32(uint32_t value); // big endian
void put_noise(size_t len);
void put_fill(char c, size_t len);
