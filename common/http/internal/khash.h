// SPDX-License-Identifier: Apache-2.0
// Stand-in for the klib header that <h2o/http2_internal.h> asks for and Debian does
// not ship: the layout of its table of streams, and finding one in it. Found only
// on the include path of the files that look inside libh2o.
#pragma once

#include <stdint.h>

typedef uint32_t khiter_t;

// A bucket's state is two bits, 16 of them in a word; 0 = in use.
#define KHASH_MAP_INIT_INT64(name_, value_)                                                        \
    typedef struct {                                                                               \
        uint32_t n_buckets, size, n_occupied, upper_bound;                                         \
        uint32_t *flags;                                                                           \
        uint64_t *keys;                                                                            \
        value_ *vals;                                                                              \
    } kh_##name_##_t;                                                                              \
    static inline khiter_t kh_get_##name_(const kh_##name_##_t *h, uint64_t key)                   \
    {                                                                                              \
        for (khiter_t i = 0; i < h->n_buckets; i++)                                                \
            if ((h->flags[i >> 4] >> ((i & 15) << 1) & 3) == 0 && h->keys[i] == key)               \
                return i;                                                                          \
        return h->n_buckets;                                                                       \
    }

#define khash_t(name_) kh_##name_##_t
#define kh_get(name_, h_, key_) kh_get_##name_(h_, key_)
#define kh_end(h_) ((h_)->n_buckets)
#define kh_val(h_, i_) ((h_)->vals[i_])
