// SPDX-License-Identifier: Apache-2.0
// cmocka's preamble, once.
#pragma once

// cmocka.h needs these four before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/slice.h"

// Bytes equal to a NUL-ended text.
#define assert_slice(s_, text_)                                                                    \
    do {                                                                                           \
        struct slice got_ = (s_);                                                                  \
        struct slice want_ = slice_of(text_);                                                      \
        if (!slice_equal(got_, want_))                                                             \
            fail_msg("got '%.*s', want '%.*s'", SLICE_FMT(got_), SLICE_FMT(want_));                \
    } while (0)
