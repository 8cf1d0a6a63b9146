// SPDX-License-Identifier: Apache-2.0
// The few macros and the allocation rule that every file shares.
#pragma once

#include <stddef.h>

#define CM_MUST_CHECK __attribute__((warn_unused_result))
#define CM_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define CM_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define CM_CONTAINER_OF(member_ptr, type, member)                                                  \
    ((type *)(void *)((char *)(member_ptr)-offsetof(type, member)))

// Asserts stay on in production. They guard our own invariants, never input.
#define CM_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : util_assert_failed(#condition, __FILE__, __LINE__))

// Prints one line on stderr and aborts.
__attribute__((noreturn, cold)) void util_assert_failed(const char *condition, const char *file,
                                                        int line);

// Allocation. Running out of memory aborts with one line: limits on input, not
// checks of malloc, protect the process. xmalloc(0) gives a unique pointer.
// The caller frees with free().
CM_MUST_CHECK void *xmalloc(size_t size);
CM_MUST_CHECK void *xcalloc(size_t count, size_t size);
CM_MUST_CHECK void *xrealloc(void *ptr, size_t size);
CM_MUST_CHECK char *xstrndup(const char *ptr, size_t len);

// Fills out with len bytes from the kernel's random source (getrandom(2));
// aborts when there is none.
void util_random(void *out, size_t len);

// Lower-case hexadecimal: writes 2 * len characters, no terminator.
void util_hex_encode(const unsigned char *bytes, size_t len, char *out);
// Reads exactly 2 * len lower- or upper-case digits. False on any other byte;
// then out is undefined.
CM_MUST_CHECK _Bool util_hex_decode(const char *hex, unsigned char *out, size_t len);
