// SPDX-License-Identifier: Apache-2.0
// Lines of text with counted bytes between them:
//
//   cm-models snapshot 1 {cm}:0:bell
//   at <epoch> <revision> <change> <digest> <models>
//   confirmed <boot id> <boot ms> <wall ms>
//   M <id length> <record length>\n<id><record>\n     and R, X: refused, gone
//   sha256 <of all before this line>
//
// The digest is looked at before anything else, so that half a file, a flipped bit or
// another program's file is never taken for a catalog. Whether the records sum up to
// the position's digest is then for the feed to say.
#include "services/snapshot.h"

#include <openssl/evp.h>
#include <string.h>

#include "services/state_text.h"

enum { SUM_LEN = 32, SUM_HEX_LEN = 64, TRAILER_LEN = 7 + SUM_HEX_LEN + 1 };

static const char magic[] = "cm-models snapshot ";
static const char kinds[] = {
    [SNAPSHOT_MODEL] = 'M', [SNAPSHOT_REFUSED] = 'R', [SNAPSHOT_GONE] = 'X'};

// A context of its own: another thread may be hashing keys.
static void sum_of(struct slice bytes, char hex[SUM_HEX_LEN])
{
    unsigned char sum[SUM_LEN];
    int ok = EVP_Digest(bytes.ptr, bytes.len, sum, NULL, EVP_sha256(), NULL);
    CM_ASSERT(ok == 1);
    util_hex_encode(sum, sizeof(sum), hex);
}

void snapshot_begin(struct buf *out, const char *store, const struct snapshot_head *head)
{
    buf_printf(out, "%s%d %s\nat ", magic, SNAPSHOT_FORMAT, store);
    state_text_position(out, &head->at);
    buf_append_str(out, "\nconfirmed ");
    state_text_stamp(out, &head->confirmed);
    buf_append_char(out, '\n');
}

void snapshot_add(struct buf *out, const struct snapshot_record *r)
{
    buf_printf(out, "%c %zu %zu\n", kinds[r->kind], r->id.len, r->record.len);
    buf_append_slice(out, r->id);
    buf_append_slice(out, r->record);
    buf_append_char(out, '\n');
}

void snapshot_end(struct buf *out)
{
    char hex[SUM_HEX_LEN];
    sum_of(buf_slice(out), hex);
    buf_append_str(out, "sha256 ");
    buf_append(out, hex, sizeof(hex));
    buf_append_char(out, '\n');
}

const char *snapshot_status_name(enum snapshot_status status)
{
    static const char *const names[] = {
        [SNAPSHOT_OK] = "ok",
        [SNAPSHOT_DAMAGED] = "damaged",
        [SNAPSHOT_OTHER_STORE] = "of another prefix or database",
        [SNAPSHOT_OTHER_FORMAT] = "of another format",
    };
    return names[status];
}

static bool is_whole(struct slice bytes)
{
    char hex[SUM_HEX_LEN];
    if (bytes.len < TRAILER_LEN)
        return false;
    struct slice trailer = slice_skip(bytes, bytes.len - TRAILER_LEN);
    sum_of(slice_make(bytes.ptr, bytes.len - TRAILER_LEN), hex);
    return memcmp(trailer.ptr, "sha256 ", 7) == 0 && trailer.ptr[TRAILER_LEN - 1] == '\n' &&
           memcmp(trailer.ptr + 7, hex, sizeof(hex)) == 0;
}

static bool read_head(struct slice *rest, struct snapshot_head *h)
{
    struct slice at = slice_take(rest, '\n'), confirmed = slice_take(rest, '\n');
    return rest->ptr != NULL && slice_equal(slice_take(&at, ' '), SLICE_LIT("at")) &&
           state_text_read_position(at, &h->at) &&
           slice_equal(slice_take(&confirmed, ' '), SLICE_LIT("confirmed")) &&
           state_text_read_stamp(confirmed, &h->confirmed);
}

static enum snapshot_status read_first(struct slice line, const char *store)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", SNAPSHOT_FORMAT);
    if (!slice_starts_with(line, slice_of(magic)))
        return SNAPSHOT_DAMAGED;
    line = slice_skip(line, strlen(magic));
    if (!slice_equal(slice_take(&line, ' '), slice_of(number)))
        return SNAPSHOT_OTHER_FORMAT;
    return slice_equal(line, slice_of(store)) ? SNAPSHOT_OK : SNAPSHOT_OTHER_STORE;
}

enum snapshot_status snapshot_open(struct slice bytes, const char *store,
                                   struct snapshot_head *head, struct slice *records)
{
    struct snapshot_head h;
    if (!is_whole(bytes))
        return SNAPSHOT_DAMAGED;
    struct slice rest = slice_make(bytes.ptr, bytes.len - TRAILER_LEN);
    enum snapshot_status status = read_first(slice_take(&rest, '\n'), store);
    if (status != SNAPSHOT_OK)
        return status;
    if (!read_head(&rest, &h))
        return SNAPSHOT_DAMAGED;
    *head = h;
    *records = rest;
    return SNAPSHOT_OK;
}

static bool read_kind(struct slice word, enum snapshot_kind *out)
{
    for (size_t i = 0; i < CM_ARRAY_LEN(kinds); i++)
        if (word.len == 1 && word.ptr[0] == kinds[i]) {
            *out = (enum snapshot_kind)i;
            return true;
        }
    return false;
}

int snapshot_next(struct slice *records, struct snapshot_record *out)
{
    struct snapshot_record r;
    uint64_t id_len, len;
    struct slice rest = *records;
    if (rest.len == 0)
        return 0;
    struct slice line = slice_take(&rest, '\n');
    if (!read_kind(slice_take(&line, ' '), &r.kind) ||
        !slice_parse_u64(slice_take(&line, ' '), SNAPSHOT_MAX, &id_len) || id_len == 0 ||
        !slice_parse_u64(line, SNAPSHOT_MAX, &len) || rest.len <= id_len + len ||
        rest.ptr[id_len + len] != '\n')
        return -1;
    r.id = slice_make(rest.ptr, (size_t)id_len);
    r.record = slice_make(rest.ptr + id_len, (size_t)len);
    *records = slice_skip(rest, (size_t)(id_len + len) + 1);
    *out = r;
    return 1;
}
