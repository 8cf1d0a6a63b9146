// SPDX-License-Identifier: Apache-2.0
// Any bytes as a diary of keys: as they are, and with each line's checksum put right.
// Whatever it says, reading it leaves a cache in which nothing is verified, and one that
// was damaged knows no permission.
#include "services/key_diary.h"

#include <string.h>
#include <zlib.h>

#include "tests/fuzz/fuzz.h"

static void read_as_diary(struct slice text)
{
    static const struct key_diary_replay how = {.revision = 9, .seen_wall_ms = 1};
    struct key_diary d;
    enum key_diary_status status = key_diary_scan(text, "{cm}:0:bell", &d);
    if (status != KEY_DIARY_OK && status != KEY_DIARY_DAMAGED)
        return;
    struct key_cache *cache = key_cache_create(1 << 20);
    size_t keys = key_diary_replay(&d, &how, cache);
    CM_ASSERT(status == KEY_DIARY_OK || (keys == 0 && d.at.epoch == 0));
    CM_ASSERT(status == KEY_DIARY_OK || key_cache_counters(cache).known == 0);
    key_cache_walk(cache);
    for (const struct key_entry *e; (e = key_cache_walk_next(cache)) != NULL;) {
        CM_ASSERT(!key_cache_is_verified(cache, e));
        CM_ASSERT(e->kind != KEY_ENTRY_KNOWN || e->as_of <= how.revision);
        CM_ASSERT(e->kind != KEY_ENTRY_KNOWN || e->key->revision <= how.revision || e->dirty);
    }
    key_cache_destroy(cache);
}

static void mend(struct buf *out, struct slice rest)
{
    while (rest.len > 0) {
        struct slice body = slice_skip(slice_take(&rest, '\n'), 9);
        buf_printf(out, "%08lx ", crc32(0, (const unsigned char *)body.ptr, (unsigned)body.len));
        buf_append_slice(out, body);
        buf_append_char(out, '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf mended = {0};
    read_as_diary(slice_make(data, size));
    mend(&mended, slice_make(data, size));
    read_as_diary(buf_slice(&mended));
    buf_fini(&mended);
    return 0;
}
