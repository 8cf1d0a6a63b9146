// SPDX-License-Identifier: Apache-2.0
// Numbers are 32 bits, little end first: how many keys, how many arguments, then
// each word with its length before it. Whoever stores it guards it with a digest;
// what is checked here is only that it cannot lead out of its own bytes.
#include "common/store/commit_image.h"

#include <string.h>

static void put_u32(struct buf *out, size_t n)
{
    CM_ASSERT(n <= UINT32_MAX);
    for (int shift = 0; shift < 32; shift += 8)
        buf_append_char(out, (char)((n >> shift) & 0xff));
}

static bool take_u32(struct slice *rest, size_t *n)
{
    if (rest->len < 4)
        return false;
    *n = 0;
    for (size_t i = 0; i < 4; i++)
        *n |= (size_t)(unsigned char)rest->ptr[i] << (8 * i);
    *rest = slice_skip(*rest, 4);
    return true;
}

static void put_words(struct buf *out, const struct words *w, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        put_u32(out, words_at(w, i).len);
        buf_append_slice(out, words_at(w, i));
    }
}

static bool take_words(struct slice *rest, size_t count, struct words *out)
{
    size_t len;
    for (size_t i = 0; i < count; i++) {
        if (!take_u32(rest, &len) || len > rest->len)
            return false;
        words_add(out, slice_make(rest->ptr, len));
        *rest = slice_skip(*rest, len);
    }
    return true;
}

void commit_image_write(struct buf *out, const struct words *fixed, size_t fixed_keys,
                        const struct words *row_keys, const struct words *row_args)
{
    put_u32(out, fixed_keys + row_keys->count);
    put_u32(out, fixed->count - fixed_keys + row_args->count);
    put_words(out, fixed, 0, fixed_keys);
    put_words(out, row_keys, 0, row_keys->count);
    put_words(out, fixed, fixed_keys, fixed->count);
    put_words(out, row_args, 0, row_args->count);
}

// Do the rows fill the arguments exactly?
static bool rows_fit(const struct commit_image *i)
{
    size_t at = COMMIT_IMAGE_ARGS;
    uint64_t count;
    if (i->keys.count < COMMIT_IMAGE_KEYS || i->args.count < COMMIT_IMAGE_ARGS)
        return false;
    for (size_t key = COMMIT_IMAGE_KEYS; key < i->keys.count; key++) {
        if (i->args.count - at < 2 ||
            !slice_parse_u64(words_at(&i->args, at + 1), i->args.count - at - 2, &count))
            return false;
        at += 2 + (size_t)count;
    }
    return at == i->args.count;
}

bool commit_image_parse(struct slice bytes, struct commit_image *out)
{
    size_t keys, args;
    *out = (struct commit_image){.keys = {.count = 0}};
    if (take_u32(&bytes, &keys) && take_u32(&bytes, &args) && keys <= bytes.len &&
        args <= bytes.len && take_words(&bytes, keys, &out->keys) &&
        take_words(&bytes, args, &out->args) && bytes.len == 0 && rows_fit(out))
        return true;
    commit_image_fini(out);
    return false;
}

void commit_image_fini(struct commit_image *i)
{
    words_fini(&i->keys);
    words_fini(&i->args);
}

struct slice commit_image_outcome(const struct commit_image *i)
{
    struct slice outcome = words_at(&i->args, 9);
    return outcome.len > 0 ? outcome : SLICE_NONE;
}

struct slice commit_image_idem_key(const struct commit_image *i)
{
    return commit_image_outcome(i).ptr != NULL ? words_at(&i->keys, 3) : SLICE_NONE;
}

struct slice commit_image_audit(const struct commit_image *i)
{
    struct slice audit = words_at(&i->args, 8);
    return audit.len > 0 ? audit : SLICE_NONE;
}

// What follows the name in key; ptr NULL when it does not begin so.
static struct slice rest_of(struct slice key, const char *name, size_t len)
{
    return slice_starts_with(key, slice_make(name, len)) ? slice_skip(key, len) : SLICE_NONE;
}

static struct slice gone_id(const struct keyspace *k, struct slice key)
{
    char name[KEYSPACE_NAME_MAX];
    return rest_of(key, name, keyspace_gone(k, SLICE_LIT(""), name));
}

static struct slice secret_of(const struct keyspace *k, struct slice key)
{
    char name[KEYSPACE_NAME_MAX];
    struct secret_digest any = {.bytes = {0}};
    return rest_of(key, name, keyspace_key(k, &any, name) - SECRET_HEX_LEN);
}

void commit_image_each(const struct commit_image *i, const struct keyspace *k,
                       void (*each)(void *ctx, enum commit_image_kind kind, struct slice id,
                                    struct slice text),
                       void *ctx)
{
    size_t at = COMMIT_IMAGE_ARGS;
    for (size_t n = COMMIT_IMAGE_KEYS; n < i->keys.count; n++) {
        struct slice key = words_at(&i->keys, n), command = words_at(&i->args, at);
        uint64_t count = 0;
        bool good = slice_parse_u64(words_at(&i->args, at + 1), i->args.count, &count);
        CM_ASSERT(good); // commit_image_parse has looked
        struct slice first = count > 0 ? words_at(&i->args, at + 2) : SLICE_NONE;
        struct slice second = count > 1 ? words_at(&i->args, at + 3) : SLICE_NONE;
        if (slice_equal(key, slice_of(k->models)) && slice_equal(command, SLICE_LIT("HSET")))
            each(ctx, COMMIT_IMAGE_MODEL, first, second);
        else if (slice_equal(key, slice_of(k->models)))
            each(ctx, COMMIT_IMAGE_UNMODEL, first, SLICE_NONE);
        else if (slice_equal(key, slice_of(k->keys)) && slice_equal(command, SLICE_LIT("HSET")))
            each(ctx, COMMIT_IMAGE_DOCUMENT, first, second);
        else if (gone_id(k, key).ptr != NULL)
            each(ctx, COMMIT_IMAGE_REVOKED, gone_id(k, key), first);
        else if (secret_of(k, key).ptr != NULL)
            each(ctx, COMMIT_IMAGE_RECORD, secret_of(k, key), first);
        at += 2 + (size_t)count;
    }
}
