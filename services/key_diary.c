// SPDX-License-Identifier: Apache-2.0
// A diary is appended to while its worker lives, so it may end anywhere: the last
// line counts only with its line feed. A line before it that does not match its
// checksum was damaged later. Then a refusal may be lost, and whatever permission
// stands in that diary must not be believed; its refusals still are.
//
// Order is all: each line is told to the cache as it was told then, so that a denial
// that was lifted is lifted again and one that stood still stands. Entries are
// verified by generation (key_cache.c): T tells until when the present one was
// known to be right, U ends it. A diary that is written anew from a cache tells the
// generations from the oldest on.
#include "services/key_diary.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "services/state_text.h"

enum { CHECK_LEN = 8, LINE_MIN = CHECK_LEN + 2 };

static const char magic[] = "cm-models keys";

// -- writing ----------------------------------------------------------------

// The checksum's place is kept free and filled in when the line is complete.
static size_t begin(struct buf *out)
{
    size_t at = out->len;
    buf_append_str(out, "00000000 ");
    return at;
}

static void check_of(struct slice body, char out[CHECK_LEN + 1])
{
    uint32_t sum = (uint32_t)crc32(0, (const unsigned char *)body.ptr, (unsigned)body.len);
    snprintf(out, CHECK_LEN + 1, "%08" PRIx32, sum);
}

static void end(struct buf *out, size_t at)
{
    char check[CHECK_LEN + 1];
    struct slice body = slice_skip(buf_slice(out), at + CHECK_LEN + 1);
    check_of(body, check);
    memcpy(out->ptr + at, check, CHECK_LEN);
    buf_append_char(out, '\n');
}

void key_diary_open(struct buf *out, const char *store)
{
    size_t at = begin(out);
    buf_printf(out, "H %s %d %s", magic, KEY_DIARY_FORMAT, store);
    end(out, at);
}

static size_t begin_key(struct buf *out, char kind, const struct secret_digest *digest)
{
    char hex[SECRET_HEX_LEN + 1];
    size_t at = begin(out);
    secret_digest_hex(digest, hex);
    buf_printf(out, "%c %s", kind, hex);
    return at;
}

void key_diary_put(struct buf *out, const struct secret_digest *digest, const struct key *k,
                   uint64_t as_of)
{
    size_t at = begin_key(out, 'K', digest);
    buf_printf(out, " %" PRIu64 " ", as_of);
    key_write(out, k);
    end(out, at);
}

void key_diary_change(struct buf *out, const struct secret_digest *digest, bool deny,
                      uint64_t revision)
{
    size_t at = begin_key(out, deny ? 'D' : 'C', digest);
    buf_printf(out, " %" PRIu64, revision);
    end(out, at);
}

void key_diary_forget(struct buf *out, const struct secret_digest *digest)
{
    end(out, begin_key(out, 'F', digest));
}

void key_diary_unverify(struct buf *out)
{
    size_t at = begin(out);
    buf_append_char(out, 'U');
    end(out, at);
}

void key_diary_stamp(struct buf *out, const struct clock_stamp *stamp)
{
    size_t at = begin(out);
    buf_append_str(out, "T ");
    state_text_stamp(out, stamp);
    end(out, at);
}

void key_diary_position(struct buf *out, const struct feed_position *p)
{
    size_t at = begin(out);
    buf_append_str(out, "P ");
    state_text_position(out, p);
    end(out, at);
}

// -- reading ----------------------------------------------------------------

const char *key_diary_status_name(enum key_diary_status status)
{
    static const char *const names[] = {
        [KEY_DIARY_OK] = "ok",
        [KEY_DIARY_DAMAGED] = "damaged",
        [KEY_DIARY_OTHER_STORE] = "of another prefix or database",
        [KEY_DIARY_OTHER_FORMAT] = "of another format",
        [KEY_DIARY_GARBLED] = "garbled",
    };
    return names[status];
}

// What stands behind a good checksum; ptr NULL: it is not good.
static struct slice body_of(struct slice line)
{
    char check[CHECK_LEN + 1];
    if (line.len < LINE_MIN || line.ptr[CHECK_LEN] != ' ')
        return SLICE_NONE;
    struct slice body = slice_skip(line, CHECK_LEN + 1);
    check_of(body, check);
    return memcmp(check, line.ptr, CHECK_LEN) == 0 ? body : SLICE_NONE;
}

static enum key_diary_status read_header(struct slice body, const char *store)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", KEY_DIARY_FORMAT);
    if (!slice_starts_with(body, SLICE_LIT("H ")) ||
        !slice_starts_with(slice_skip(body, 2), slice_of(magic)))
        return KEY_DIARY_GARBLED;
    body = slice_skip(body, 2 + sizeof(magic));
    if (!slice_equal(slice_take(&body, ' '), slice_of(number)))
        return KEY_DIARY_OTHER_FORMAT;
    return slice_equal(body, slice_of(store)) ? KEY_DIARY_OK : KEY_DIARY_OTHER_STORE;
}

// The part of text that consists of whole lines.
static struct slice whole_lines(struct slice text)
{
    const char *last = text.len == 0 ? NULL : memrchr(text.ptr, '\n', text.len);
    return slice_make(text.ptr, last == NULL ? 0 : (size_t)(last - text.ptr) + 1);
}

// What a line says of time and place. False: it makes no sense.
static bool note_line(struct key_diary *d, struct slice body)
{
    if (slice_starts_with(body, SLICE_LIT("T "))) {
        d->has_stamp = true;
        return state_text_read_stamp(slice_skip(body, 2), &d->stamp);
    }
    if (!slice_starts_with(body, SLICE_LIT("P ")))
        return body.ptr != NULL;
    d->at_stamp = d->stamp;
    return d->has_stamp && state_text_read_position(slice_skip(body, 2), &d->at);
}

enum key_diary_status key_diary_scan(struct slice text, const char *store, struct key_diary *out)
{
    struct key_diary d = {.text = whole_lines(text)};
    struct slice rest = d.text;
    if (rest.len == 0)
        return KEY_DIARY_GARBLED;
    enum key_diary_status status = read_header(body_of(slice_take(&rest, '\n')), store);
    if (status != KEY_DIARY_OK)
        return status;
    while (rest.len > 0)
        d.damaged |= !note_line(&d, body_of(slice_take(&rest, '\n')));
    if (d.damaged)
        d.at.epoch = 0;
    d.torn = d.text.len < text.len;
    *out = d;
    return d.damaged ? KEY_DIARY_DAMAGED : KEY_DIARY_OK;
}

// -- replaying --------------------------------------------------------------

struct replay {
    const struct key_diary_replay *how;
    struct key_cache *cache;
    bool stricter_only;
    uint64_t lease_ms; // boot time; 0 = cannot be known
    size_t keys;
};

static void replay_key(struct replay *r, const struct secret_digest *digest, struct slice rest)
{
    uint64_t as_of;
    if (r->stricter_only || !slice_parse_u64(slice_take(&rest, ' '), UINT64_MAX, &as_of))
        return;
    struct key *k = key_parse(rest);
    if (k == NULL)
        return;
    bool newer = k->revision > r->how->revision;
    if (as_of > r->how->revision)
        as_of = r->how->revision;
    if (r->how->lent)
        key_cache_put_lent(r->cache, digest, k, as_of);
    else
        key_cache_put(r->cache, digest, k, as_of);
    if (newer)
        key_cache_change(r->cache, digest, as_of + 1);
    r->keys++;
}

static void replay_about_key(struct replay *r, char kind, struct slice rest)
{
    struct secret_digest digest;
    uint64_t revision;
    if (!secret_digest_parse(slice_take(&rest, ' '), &digest))
        return;
    if (kind == 'K')
        replay_key(r, &digest, rest);
    else if (kind == 'F')
        key_cache_forget(r->cache, &digest);
    else if (!slice_parse_u64(rest, UINT64_MAX, &revision))
        return;
    else if (kind == 'D')
        key_cache_deny(r->cache, &digest, revision);
    else
        key_cache_change(r->cache, &digest, revision);
}

static void replay_line(struct replay *r, struct slice body)
{
    struct clock_stamp stamp;
    char kind = body.len > 0 ? body.ptr[0] : '\0';
    if (kind == 'U')
        key_cache_unverify(r->cache, r->lease_ms);
    else if (kind == 'T' && state_text_read_stamp(slice_skip(body, 2), &stamp))
        r->lease_ms = clock_stamp_read(&stamp, r->how->seen_wall_ms);
    else if (kind != '\0' && strchr("KCDF", kind) != NULL)
        replay_about_key(r, kind, slice_skip(body, 2));
}

size_t key_diary_replay(const struct key_diary *d, const struct key_diary_replay *how,
                        struct key_cache *cache)
{
    struct replay r = {.how = how, .cache = cache, .stricter_only = d->damaged};
    struct slice rest = d->text;
    while (rest.len > 0)
        replay_line(&r, body_of(slice_take(&rest, '\n')));
    key_cache_unverify(cache, r.lease_ms);
    return r.keys;
}
