// SPDX-License-Identifier: Apache-2.0
// SHA-256 by OpenSSL costs a retrieve several percent, over HTTP/2 a tenth. Most
// connections bring one secret again and again, so the last one's digest is kept
// with the connection, under a mark by which the secret is known again.
//
// The secret itself must not stay in memory, and a proxy's connection brings the
// secrets of many, so the mark has to be hard to hit for who does not know its
// key: it is the sum of the secret's words (and its length), each times a random
// word of the process, modulo 2^128. Two different secrets differ in some word by
// d, 0 < |d| < 2^64, and of 2^64 random words one at most makes up for it: nobody
// gets another's digest with a better chance than 2^-64 for each try, and no mark
// ever leaves the process.
#include "services/last_secret.h"

#include <string.h>

enum { WORDS = 8, LEN_MAX = WORDS * sizeof(uint64_t) }; // longer ones are hashed each time

__extension__ typedef unsigned __int128 sum_t;

static const uint64_t *random_words(void)
{
    static uint64_t words[WORDS + 1];
    while (words[0] == 0)
        util_random(words, sizeof(words));
    return words;
}

static sum_t mark_of(struct slice secret)
{
    const uint64_t *random = random_words();
    uint64_t words[WORDS] = {0};
    sum_t sum = (sum_t)random[WORDS] * secret.len;
    memcpy(words, secret.ptr, secret.len);
    for (size_t i = 0; i < WORDS; i++)
        sum += (sum_t)random[i] * words[i];
    return sum;
}

void last_secret_digest(struct last_secret *last, struct slice secret, struct secret_digest *out)
{
    if (last == NULL || secret.len == 0 || secret.len > LEN_MAX) {
        secret_hash(secret, out);
        return;
    }
    sum_t mark = mark_of(secret);
    uint64_t high = (uint64_t)(mark >> 64), low = (uint64_t)mark;
    if (last->mark_high != high || last->mark_low != low || (high | low) == 0) {
        secret_hash(secret, &last->digest);
        last->mark_high = high;
        last->mark_low = low;
    }
    *out = last->digest;
}
