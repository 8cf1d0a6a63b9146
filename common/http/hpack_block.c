// SPDX-License-Identifier: Apache-2.0
// The same fields in simpler words. libh2o decodes a Huffman-coded string by steps of
// four bits, each of which waits for the one before: a key and a path are a quarter
// of what a small request costs it. A table of twelve bits mostly takes two letters at
// once; those that keys, ids and paths are made of have codes of eight bits and less.
// A value with any other letter, a long one, a badly padded one and all
// names are left to libh2o, so what is right and what is wrong is decided there as
// before. A value that was spelled out means the same in every way: the first byte
// of its field, which says what the table does with it, is not touched.
#include "common/http/hpack_block.h"

#include <endian.h>
#include <string.h>

#include "common/base/util.h"

enum {
    CODE_BITS = 8,
    PAIR_BITS = 12,
    // Of five bits a letter, as many still have a length of one byte.
    CODED_MAX = 78,
};

// Of each eight bits: the letter whose code they begin with and the length of the
// code; 0 = a longer one.
static struct code {
    uint8_t letter, bits;
} codes[1 << CODE_BITS];

// Of each twelve bits: the one or two letters whose codes they begin with, and the
// length of those; 0 letters = a longer code.
static struct pair {
    char letters[2];
    uint8_t count, bits;
} pairs[1 << PAIR_BITS];

// RFC 7541, Appendix B: the codes of one length follow each other in the order of
// their letters, and begin where those of the length before end.
static void spread_codes(void)
{
    static const char *const letters[] = {"012aceiost", " %-./3456789=A_bdfghlmnpru",
                                          ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz", "&*,;XZ"};
    size_t at = 0;
    for (unsigned bits = 5; bits <= CODE_BITS; bits++)
        for (const char *letter = letters[bits - 5]; *letter != '\0'; letter++)
            for (size_t i = 0; i < (size_t)1 << (CODE_BITS - bits); i++)
                codes[at++] = (struct code){(uint8_t)*letter, (uint8_t)bits};
}

static struct pair find_pair(unsigned bits)
{
    struct code first = codes[bits >> (PAIR_BITS - CODE_BITS)];
    unsigned rest = bits << first.bits & ((1U << PAIR_BITS) - 1);
    struct code second = codes[rest >> (PAIR_BITS - CODE_BITS)];
    if (first.bits == 0)
        return (struct pair){.count = 0};
    if (second.bits == 0 || first.bits + second.bits > PAIR_BITS)
        return (struct pair){{(char)first.letter}, 1, first.bits};
    return (struct pair){
        {(char)first.letter, (char)second.letter}, 2, (uint8_t)(first.bits + second.bits)};
}

__attribute__((constructor)) static void fill_tables(void)
{
    spread_codes();
    for (unsigned bits = 0; bits < CM_ARRAY_LEN(pairs); bits++)
        pairs[bits] = find_pair(bits);
}

// Bits that were read and not used yet, the next one the highest of `count`.
struct reader {
    const uint8_t *at, *end;
    uint64_t bits;
    unsigned count;
};

static void read_some(struct reader *r)
{
    uint32_t word;
    if ((size_t)(r->end - r->at) < sizeof(word)) {
        r->bits = r->bits << 8 | *r->at++;
        r->count += 8;
        return;
    }
    memcpy(&word, r->at, sizeof(word));
    r->at += sizeof(word);
    r->bits = r->bits << 32 | be32toh(word);
    r->count += 32;
}

// What is left, with ones behind it: letters, and then nothing but less than eight
// ones. A code that reaches beyond is no letter.
static uint8_t *spell_end(const struct reader *r, uint8_t *out)
{
    unsigned count = r->count;
    for (;;) {
        uint64_t ones = (1U << count) - 1, rest = r->bits & ones;
        struct code c = codes[(rest << CODE_BITS | 0xFF) >> count & 0xFF];
        if (c.bits == 0 || c.bits > count)
            return count < 8 && rest == ones ? out : NULL;
        *out++ = c.letter;
        count -= c.bits;
    }
}

// Writes the text of a coded value and returns its end; NULL when it is not for these
// tables. There are at most CODED_MAX bytes, so at most 124 letters; one byte more
// is scratched.
static uint8_t *spell(const uint8_t *coded, const uint8_t *end, uint8_t *out)
{
    struct reader r = {coded, end, 0, 0};
    while (r.at < end) {
        read_some(&r);
        while (r.count >= PAIR_BITS) {
            struct pair p = pairs[r.bits >> (r.count - PAIR_BITS) & ((1U << PAIR_BITS) - 1)];
            if (p.count == 0)
                return NULL;
            memcpy(out, p.letters, sizeof(p.letters));
            out += p.count;
            r.count -= p.bits;
        }
    }
    return spell_end(&r, out);
}

static const uint8_t *skip_integer(const uint8_t *at, const uint8_t *end, unsigned bits,
                                   uint32_t *value)
{
    uint32_t full = (1U << bits) - 1;
    *value = *at++ & full;
    if (*value < full)
        return at;
    for (unsigned shift = 0; at < end && shift < 28; shift += 7) {
        *value += (uint32_t)(*at & 127) << shift;
        if ((*at++ & 128) == 0)
            return at;
    }
    return end;
}

// Sets *text to the bytes of the string, whose length stands at `at`.
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end, const uint8_t **text)
{
    uint32_t len;
    *text = end;
    if (at == end)
        return end;
    at = skip_integer(at, end, 7, &len);
    *text = at;
    return len < (size_t)(end - at) ? at + len : end;
}

// What was written, and from where on the block has not been.
struct copy {
    uint8_t *out;
    const uint8_t *from;
};

static void copy_up_to(struct copy *c, const uint8_t *to)
{
    memcpy(c->out, c->from, (size_t)(to - c->from));
    c->out += to - c->from;
    c->from = to;
}

static const uint8_t *take_value(struct copy *c, const uint8_t *at, const uint8_t *end)
{
    const uint8_t *text, *next = skip_string(at, end, &text);
    // A length of one byte is what the string really has, or it is the last and broken.
    if (text != at + 1 || *at <= 0x80 || *at > (0x80 | CODED_MAX) || next - text != (*at & 127))
        return next;
    copy_up_to(c, at);
    uint8_t *last = spell(text, next, c->out + 1);
    if (last == NULL)
        return next;
    *c->out = (uint8_t)(last - c->out - 1);
    c->out = last;
    c->from = next;
    return next;
}

unsigned hpack_block_read(const uint8_t *src, size_t len, unsigned fields_max, uint8_t *out,
                          size_t *out_len)
{
    const uint8_t *at = src, *end = src + len;
    struct copy copy = {out, src};
    unsigned count = 0;
    while (at < end && count <= fields_max) {
        uint32_t index;
        const uint8_t *name;
        uint8_t kind = *at;
        bool is_indexed = kind >= 0x80, is_size = !is_indexed && (kind & 0xE0) == 0x20;
        at = skip_integer(at, end, is_indexed ? 7 : is_size ? 5 : kind >= 0x40 ? 6 : 4, &index);
        if (!is_indexed && !is_size) {
            if (index == 0)
                at = skip_string(at, end, &name);
            at = take_value(&copy, at, end);
        }
        count += !is_size;
    }
    copy_up_to(&copy, end);
    *out_len = (size_t)(copy.out - out);
    return count;
}
