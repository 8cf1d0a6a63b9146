// SPDX-License-Identifier: Apache-2.0
// Reading and writing acks. An ack is believed whole or not at all; members that
// are not known are passed over, so that a newer worker can say more.
#include "common/model/ack.h"

#include <string.h>

#include "common/model/doc.h"
#include "common/model/head.h"

static const char *const kinds[] = {
    [ACK_HELLO] = "hello", [ACK_STATE] = "state", [ACK_BYE] = "bye"};

static bool read_kind(const json_t *doc, enum ack_kind *out)
{
    struct slice text = doc_string(json_object_get(doc, "kind"));
    for (size_t i = 0; i < CM_ARRAY_LEN(kinds); i++) {
        if (slice_equal(text, slice_of(kinds[i]))) {
            *out = (enum ack_kind)i;
            return true;
        }
    }
    return false;
}

// out has max + 1 bytes.
static bool read_text(const json_t *doc, const char *name, char *out, size_t max)
{
    const json_t *member = json_object_get(doc, name);
    struct slice text = doc_string(member);
    if (!json_is_string(member) || text.len > max)
        return false;
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static bool read_i64(const json_t *doc, const char *name, int64_t *out)
{
    const json_t *member = json_object_get(doc, name);
    if (!json_is_integer(member))
        return false;
    *out = json_integer_value(member);
    return true;
}

static bool read_u64(const json_t *doc, const char *name, uint64_t *out)
{
    int64_t n;
    if (!read_i64(doc, name, &n) || n < 0)
        return false;
    *out = (uint64_t)n;
    return true;
}

static bool read_bool(const json_t *doc, const char *name, bool *out)
{
    const json_t *member = json_object_get(doc, name);
    *out = json_is_true(member);
    return json_is_boolean(member);
}

// "" is 0: no catalog yet.
static bool read_epoch(const json_t *doc, uint64_t *out)
{
    char hex[HEAD_ID_HEX_LEN + 1];
    if (!read_text(doc, "epoch", hex, HEAD_ID_HEX_LEN))
        return false;
    *out = 0;
    return hex[0] == '\0' || head_id_parse(slice_of(hex), out);
}

static bool read_ack(const json_t *doc, struct ack *a)
{
    return read_kind(doc, &a->kind) && read_text(doc, "id", a->id, ACK_ID_MAX) &&
           a->id[0] != '\0' && read_text(doc, "replaces", a->replaces, ACK_ID_MAX) &&
           read_text(doc, "host", a->host, ACK_HOST_MAX) && read_u64(doc, "slot", &a->slot) &&
           read_epoch(doc, &a->epoch) && read_u64(doc, "revision", &a->revision) &&
           read_text(doc, "state", a->state, ACK_WORD_MAX) &&
           read_text(doc, "reason", a->reason, ACK_WORD_MAX) &&
           read_i64(doc, "confirmed_ms", &a->confirmed_ms) &&
           read_i64(doc, "sent_ms", &a->sent_ms) && read_u64(doc, "max_stale_s", &a->max_stale_s) &&
           read_u64(doc, "rejected", &a->rejected) && read_u64(doc, "poisoned", &a->poisoned) &&
           read_bool(doc, "from_disk", &a->from_disk) && read_i64(doc, "saved_ms", &a->saved_ms) &&
           read_u64(doc, "save_errors", &a->save_errors);
}

bool ack_parse(struct slice text, struct ack *out)
{
    struct doc_error error;
    struct ack a = {.kind = ACK_HELLO};
    json_t *doc = doc_parse(text, &error);
    bool ok = doc != NULL && read_ack(doc, &a);
    json_decref(doc);
    if (ok)
        *out = a;
    return ok;
}

static void write_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    doc_write_string(out, slice_of(text));
}

static void write_i64(struct buf *out, const char *name, int64_t n)
{
    buf_printf(out, ",\"%s\":", name);
    buf_append_i64(out, n);
}

static void write_u64(struct buf *out, const char *name, uint64_t n)
{
    buf_printf(out, ",\"%s\":", name);
    buf_append_u64(out, n);
}

void ack_write(struct buf *out, const struct ack *ack)
{
    char epoch[HEAD_ID_HEX_LEN + 1] = "";
    if (ack->epoch != 0)
        head_id_hex(ack->epoch, epoch);
    buf_printf(out, "{\"kind\":\"%s\"", kinds[ack->kind]);
    write_text(out, "id", ack->id);
    write_text(out, "replaces", ack->replaces);
    write_text(out, "host", ack->host);
    write_u64(out, "slot", ack->slot);
    write_text(out, "epoch", epoch);
    write_u64(out, "revision", ack->revision);
    write_text(out, "state", ack->state);
    write_text(out, "reason", ack->reason);
    write_i64(out, "confirmed_ms", ack->confirmed_ms);
    write_i64(out, "sent_ms", ack->sent_ms);
    write_u64(out, "max_stale_s", ack->max_stale_s);
    write_u64(out, "rejected", ack->rejected);
    write_u64(out, "poisoned", ack->poisoned);
    buf_printf(out, ",\"from_disk\":%s", ack->from_disk ? "true" : "false");
    write_i64(out, "saved_ms", ack->saved_ms);
    write_u64(out, "save_errors", ack->save_errors);
    buf_append_char(out, '}');
}
