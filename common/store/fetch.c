// SPDX-License-Identifier: Apache-2.0
// A read as a list of commands in one pipeline, the head's first. Redis answers
// in order, so every result is at least as new as the head that came before it;
// a plan that was made from them is then held together by the compare-and-set of
// the commit.
//
// Each question is a slot: the words of its command while it is asked, the words
// of its answer afterwards. One answer that is missing or an error makes the
// whole read fail: half of an answer would be a plan from half of the truth.
#include "common/store/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/store/later.h"
#include "common/store/words.h"

enum { START = 8, WORDS_MAX = 8 };

enum slot_kind {
    SLOT_VALUE,      // a string or nil
    SLOT_EXISTS,     // 1 or 0
    SLOT_LIST,       // an array of strings
    SLOT_LOG_CHANGE, // an XRANGE: field c of its first entry
    SLOT_LOG,        // an XRANGE: revision, change and operations of each entry or part
    SLOT_AUDIT,      // the same of the audit trail: revision and text of each entry
    SLOT_NEWEST,     // an XREVRANGE: the revision of its first entry
    SLOT_COUNT       // a number
};

struct slot {
    struct fetch *fetch; // set while it is under way
    enum slot_kind kind;
    size_t asked, asked_count; // words of the command
    size_t found, found_count; // words of the answer
};

struct fetch {
    struct redis *r;
    const struct keyspace *k;
    struct slot *slots;
    size_t count, size;
    struct words asked, found;
    struct words raw; // the head's fields
    enum head_status head_status;
    struct head head;
    size_t pending; // replies that are due
    bool under_way, failed;
    void (*on_done)(void *ctx, bool ok);
    void *ctx;
};

struct fetch *fetch_create(struct redis *r, const struct keyspace *k)
{
    struct fetch *f = xcalloc(1, sizeof(*f));
    f->r = r;
    f->k = k;
    f->head_status = HEAD_ABSENT;
    return f;
}

void fetch_destroy(struct fetch *f)
{
    if (f == NULL)
        return;
    CM_ASSERT(!f->under_way);
    words_fini(&f->asked);
    words_fini(&f->found);
    words_fini(&f->raw);
    free(f->slots);
    free(f);
}

// --- asking

static size_t ask(struct fetch *f, enum slot_kind kind, size_t argc, const struct slice *argv)
{
    CM_ASSERT(!f->under_way && argc <= WORDS_MAX);
    if (f->count == f->size) {
        f->size = f->size > 0 ? 2 * f->size : START;
        f->slots = xrealloc(f->slots, f->size * sizeof(*f->slots));
    }
    f->slots[f->count] = (struct slot){.kind = kind, .asked = f->asked.count, .asked_count = argc};
    for (size_t i = 0; i < argc; i++)
        words_add(&f->asked, argv[i]);
    return f->count++;
}

static size_t ask1(struct fetch *f, enum slot_kind kind, const char *command, const char *key)
{
    struct slice argv[] = {slice_of(command), slice_of(key)};
    return ask(f, kind, CM_ARRAY_LEN(argv), argv);
}

static size_t ask2(struct fetch *f, enum slot_kind kind, const char *command, const char *key,
                   struct slice arg)
{
    struct slice argv[] = {slice_of(command), slice_of(key), arg};
    return ask(f, kind, CM_ARRAY_LEN(argv), argv);
}

size_t fetch_model(struct fetch *f, struct slice id)
{
    return ask2(f, SLOT_VALUE, "HGET", f->k->models, id);
}

size_t fetch_model_exists(struct fetch *f, struct slice id)
{
    return ask2(f, SLOT_EXISTS, "HEXISTS", f->k->models, id);
}

size_t fetch_all_models(struct fetch *f)
{
    return ask1(f, SLOT_LIST, "HGETALL", f->k->models);
}

size_t fetch_key_document(struct fetch *f, struct slice key_id)
{
    return ask2(f, SLOT_VALUE, "HGET", f->k->keys, key_id);
}

size_t fetch_gone_document(struct fetch *f, struct slice key_id)
{
    char name[KEYSPACE_NAME_MAX];
    keyspace_gone(f->k, key_id, name);
    return ask1(f, SLOT_VALUE, "GET", name);
}

size_t fetch_key_ids(struct fetch *f, struct slice after, struct slice before, size_t count)
{
    bool down = before.len > 0;
    char limit[24];
    struct buf from = {0};
    snprintf(limit, sizeof(limit), "%zu", count);
    buf_append_char(&from, '(');
    buf_append_slice(&from, down ? before : after);
    struct slice start = down || after.len > 0 ? buf_slice(&from) : SLICE_LIT("-");
    struct slice argv[] = {
        down ? SLICE_LIT("ZREVRANGEBYLEX") : SLICE_LIT("ZRANGEBYLEX"),
        slice_of(f->k->key_order),
        start,
        down ? SLICE_LIT("-") : SLICE_LIT("+"),
        SLICE_LIT("LIMIT"),
        SLICE_LIT("0"),
        slice_of(limit),
    };
    size_t slot = ask(f, SLOT_LIST, CM_ARRAY_LEN(argv), argv);
    buf_fini(&from);
    return slot;
}

size_t fetch_gone_ids(struct fetch *f, int64_t since_s)
{
    char since[24];
    snprintf(since, sizeof(since), "%" PRId64, since_s);
    struct slice argv[] = {SLICE_LIT("ZRANGEBYSCORE"), slice_of(f->k->gone_order), slice_of(since),
                           SLICE_LIT("+inf")};
    return ask(f, SLOT_LIST, CM_ARRAY_LEN(argv), argv);
}

size_t fetch_key_record(struct fetch *f, const struct secret_digest *digest)
{
    char name[KEYSPACE_NAME_MAX];
    keyspace_key(f->k, digest, name);
    return ask1(f, SLOT_VALUE, "GET", name);
}

size_t fetch_refs(struct fetch *f, struct slice model_id)
{
    char name[KEYSPACE_NAME_MAX];
    keyspace_refs(f->k, model_id, name);
    return ask1(f, SLOT_LIST, "SMEMBERS", name);
}

size_t fetch_idem(struct fetch *f, struct slice digest_hex)
{
    char name[KEYSPACE_NAME_MAX];
    keyspace_idem(f->k, digest_hex, name);
    return ask1(f, SLOT_VALUE, "GET", name);
}

size_t fetch_log_change(struct fetch *f, uint64_t revision)
{
    char id[32];
    snprintf(id, sizeof(id), "%" PRIu64 "-0", revision);
    struct slice argv[] = {SLICE_LIT("XRANGE"), slice_of(f->k->log), slice_of(id), slice_of(id)};
    return ask(f, SLOT_LOG_CHANGE, CM_ARRAY_LEN(argv), argv);
}

size_t fetch_fleet(struct fetch *f)
{
    return ask1(f, SLOT_LIST, "HGETALL", f->k->fleet);
}

size_t fetch_all_documents(struct fetch *f)
{
    return ask1(f, SLOT_LIST, "HGETALL", f->k->keys);
}

size_t fetch_head_again(struct fetch *f)
{
    struct slice argv[] = {SLICE_LIT("HMGET"), slice_of(f->k->head), SLICE_LIT("rev"),
                           SLICE_LIT("change")};
    return ask(f, SLOT_LIST, CM_ARRAY_LEN(argv), argv);
}

size_t fetch_log(struct fetch *f, uint64_t after, size_t count)
{
    char id[32], limit[24];
    snprintf(id, sizeof(id), "%" PRIu64 "-0", after + 1);
    snprintf(limit, sizeof(limit), "%zu", count);
    struct slice argv[] = {SLICE_LIT("XRANGE"), slice_of(f->k->log), slice_of(id),
                           SLICE_LIT("+"),      SLICE_LIT("COUNT"),  slice_of(limit)};
    return ask(f, SLOT_LOG, CM_ARRAY_LEN(argv), argv);
}

size_t fetch_audit(struct fetch *f, uint64_t from, bool upward, size_t count)
{
    char id[32], limit[24];
    snprintf(id, sizeof(id), "%" PRIu64 "-0", from);
    snprintf(limit, sizeof(limit), "%zu", count);
    struct slice argv[] = {upward ? SLICE_LIT("XRANGE") : SLICE_LIT("XREVRANGE"),
                           slice_of(f->k->audit),
                           slice_of(id),
                           upward ? SLICE_LIT("+") : SLICE_LIT("-"),
                           SLICE_LIT("COUNT"),
                           slice_of(limit)};
    return ask(f, SLOT_AUDIT, CM_ARRAY_LEN(argv), argv);
}

static size_t ask_newest(struct fetch *f, const char *key)
{
    struct slice argv[] = {SLICE_LIT("XREVRANGE"), slice_of(key),      SLICE_LIT("+"),
                           SLICE_LIT("-"),         SLICE_LIT("COUNT"), SLICE_LIT("1")};
    return ask(f, SLOT_NEWEST, CM_ARRAY_LEN(argv), argv);
}

size_t fetch_newest_log(struct fetch *f)
{
    return ask_newest(f, f->k->log);
}

size_t fetch_newest_audit(struct fetch *f)
{
    return ask_newest(f, f->k->audit);
}

size_t fetch_model_count(struct fetch *f)
{
    return ask1(f, SLOT_COUNT, "HLEN", f->k->models);
}

size_t fetch_key_count(struct fetch *f)
{
    return ask1(f, SLOT_COUNT, "HLEN", f->k->keys);
}

bool fetch_is_changed_by(const struct fetch *f, const struct commit *c)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct slot *s = &f->slots[i];
        struct slice command = words_at(&f->asked, s->asked);
        bool by_field =
            slice_equal(command, SLICE_LIT("HGET")) || slice_equal(command, SLICE_LIT("HEXISTS"));
        struct slice field = by_field ? words_at(&f->asked, s->asked + 2) : SLICE_NONE;
        if (commit_changes(c, words_at(&f->asked, s->asked + 1), field))
            return true;
    }
    return false;
}

// --- answers

static void finish(struct fetch *f)
{
    f->under_way = false;
    if (f->failed) {
        words_clear(&f->found);
        for (size_t i = 0; i < f->count; i++)
            f->slots[i].found_count = 0;
        f->head_status = HEAD_ABSENT;
    }
    f->on_done(f->ctx, !f->failed); // may destroy f
}

static void on_nothing_sent(void *ctx)
{
    finish(ctx);
}

// False when the whole read has failed; then the answer is of no use.
static bool is_usable(struct fetch *f, const struct redisReply *reply)
{
    if (reply != NULL && reply_is_error(reply) && !f->failed)
        LOG_WARN("redis_read_refused", LOG_STR("reason", reply_bytes(reply)));
    if (reply == NULL || reply_is_error(reply))
        f->failed = true;
    return !f->failed;
}

static void count_reply(struct fetch *f)
{
    if (--f->pending == 0)
        finish(f);
}

static void on_head(void *ctx, const struct redisReply *reply)
{
    struct fetch *f = ctx;
    words_clear(&f->raw);
    if (reply_is_wrong_type(reply)) { // an answer, too: it is none of ours
        f->head_status = HEAD_GARBLED;
    } else if (is_usable(f, reply)) {
        struct slice fields[HEAD_FIELD_COUNT];
        bool is_whole = reply_count(reply) == HEAD_FIELD_COUNT;
        for (size_t i = 0; is_whole && i < HEAD_FIELD_COUNT; i++)
            words_add(&f->raw, fields[i] = reply_bytes(reply_at(reply, i)));
        f->head_status = is_whole ? head_parse(fields, &f->head) : HEAD_GARBLED;
    }
    count_reply(f);
}

static void add_found(struct slot *s, struct slice word)
{
    if (s->found_count++ == 0)
        s->found = s->fetch->found.count;
    words_add(&s->fetch->found, word);
}

// An entry is [id, [field, value, ...]].
static struct slice revision_of(const struct redisReply *entry)
{
    struct slice id = reply_count(entry) == 2 ? reply_bytes(reply_at(entry, 0)) : SLICE_NONE;
    return slice_take(&id, '-');
}

static struct slice find_field(const struct redisReply *entry, struct slice name)
{
    const struct redisReply *fields = reply_count(entry) == 2 ? reply_at(entry, 1) : NULL;
    for (size_t i = 0; fields != NULL && i + 1 < reply_count(fields); i += 2)
        if (slice_equal(reply_bytes(reply_at(fields, i)), name))
            return reply_bytes(reply_at(fields, i + 1));
    return SLICE_NONE;
}

static struct slice field_of(const struct redisReply *entry, struct slice name)
{
    struct slice value = find_field(entry, name);
    return value.ptr != NULL ? value : SLICE_LIT("");
}

static struct slice ops_of(const struct redisReply *entry)
{
    struct slice more = find_field(entry, SLICE_LIT("m"));
    return more.ptr != NULL ? more : field_of(entry, SLICE_LIT("o"));
}

static void take_change(struct slot *s, const struct redisReply *entries)
{
    if (reply_count(entries) == 1)
        add_found(s, field_of(reply_at(entries, 0), SLICE_LIT("c")));
}

static void take_entries(struct slot *s, const struct redisReply *entries)
{
    for (size_t i = 0; i < reply_count(entries); i++) {
        const struct redisReply *entry = reply_at(entries, i);
        add_found(s, revision_of(entry));
        if (s->kind == SLOT_NEWEST)
            return;
        if (s->kind == SLOT_AUDIT) {
            add_found(s, field_of(entry, SLICE_LIT("e")));
            continue;
        }
        add_found(s, field_of(entry, SLICE_LIT("c")));
        add_found(s, ops_of(entry));
    }
}

static void take_existence(struct slot *s, const struct redisReply *reply)
{
    int64_t n;
    if (reply_integer(reply, &n) && n == 1)
        add_found(s, SLICE_LIT("1"));
}

static void take_count(struct slot *s, const struct redisReply *reply)
{
    char text[24];
    int64_t n;
    if (!reply_integer(reply, &n))
        return;
    snprintf(text, sizeof(text), "%" PRId64, n);
    add_found(s, slice_of(text));
}

// Without this answer the others are of use all the same.
static bool is_dispensable(const struct slot *s, const struct redisReply *reply)
{
    return (s->kind == SLOT_NEWEST && reply_is_wrong_type(reply)) ||
           (s->kind == SLOT_COUNT && reply != NULL && reply_is_error(reply));
}

static void on_slot(void *ctx, const struct redisReply *reply)
{
    struct slot *s = ctx;
    struct fetch *f = s->fetch;
    if (is_dispensable(s, reply)) {
        count_reply(f);
        return;
    }
    if (is_usable(f, reply)) {
        if (s->kind == SLOT_LOG || s->kind == SLOT_AUDIT || s->kind == SLOT_NEWEST)
            take_entries(s, reply);
        if (s->kind == SLOT_VALUE && !reply_is_nil(reply))
            add_found(s, reply_bytes(reply));
        for (size_t i = 0; s->kind == SLOT_LIST && i < reply_count(reply); i++)
            add_found(s, reply_bytes(reply_at(reply, i)));
        if (s->kind == SLOT_LOG_CHANGE)
            take_change(s, reply);
        if (s->kind == SLOT_EXISTS)
            take_existence(s, reply);
        if (s->kind == SLOT_COUNT)
            take_count(s, reply);
    }
    count_reply(f);
}

static void send_head(struct fetch *f)
{
    struct slice argv[2 + HEAD_FIELD_COUNT] = {SLICE_LIT("HMGET"), slice_of(f->k->head)};
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++)
        argv[2 + i] = slice_of(head_field_names[i]);
    bool sent = redis_command(f->r, CM_ARRAY_LEN(argv), argv, on_head, f);
    CM_ASSERT(sent);
}

void fetch_send(struct fetch *f, void (*on_done)(void *ctx, bool ok), void *ctx)
{
    CM_ASSERT(!f->under_way);
    f->under_way = true;
    f->on_done = on_done;
    f->ctx = ctx;
    f->failed = redis_room(f->r) < 1 + f->count;
    words_clear(&f->found);
    for (size_t i = 0; i < f->count; i++)
        f->slots[i].found_count = 0;
    if (f->failed) {
        later_run(redis_loop(f->r), on_nothing_sent, f);
        return;
    }
    f->pending = 1 + f->count;
    send_head(f);
    for (size_t i = 0; i < f->count; i++) {
        struct slot *s = &f->slots[i];
        struct slice argv[WORDS_MAX];
        s->fetch = f;
        for (size_t j = 0; j < s->asked_count; j++)
            argv[j] = words_at(&f->asked, s->asked + j);
        bool sent = redis_command(f->r, s->asked_count, argv, on_slot, s);
        CM_ASSERT(sent);
    }
}

// --- results

enum head_status fetch_head(const struct fetch *f, struct head *out)
{
    if (f->head_status == HEAD_OK)
        *out = f->head;
    return f->head_status;
}

struct slice fetch_head_field(const struct fetch *f, enum head_field field)
{
    return f->raw.count > (size_t)field ? words_at(&f->raw, (size_t)field) : SLICE_NONE;
}

struct slice fetch_result(const struct fetch *f, size_t slot)
{
    return fetch_list_count(f, slot) > 0 ? fetch_list_at(f, slot, 0) : SLICE_NONE;
}

size_t fetch_list_count(const struct fetch *f, size_t slot)
{
    CM_ASSERT(slot < f->count);
    return f->slots[slot].found_count;
}

struct slice fetch_list_at(const struct fetch *f, size_t slot, size_t i)
{
    CM_ASSERT(i < fetch_list_count(f, slot));
    return words_at(&f->found, f->slots[slot].found + i);
}
