// SPDX-License-Identifier: Apache-2.0
// Builds the one script call that makes a revision.
//
// The caller names what changes; each operation adds its rows (a command on one
// key), its line for the log, its part of the digest and, as long as there is
// room, its key in the bell. commit_send puts the fixed part before the rows.
// The script is asked for by its hash first; a Redis that does not know it (first
// write after a restart) gets it whole. That is safe to repeat: NOSCRIPT means
// that nothing has run.
#include "common/store/commit.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/model/bell.h"
#include "common/model/oplog.h"
#include "common/store/commit_image.h"
#include "common/store/later.h"
#include "common/store/scripts.h"
#include "common/store/words.h"

enum {
    FIXED_KEYS = COMMIT_IMAGE_KEYS,
    FIXED_ARGS = COMMIT_IMAGE_ARGS,
    COMMAND_WORDS = 3, // EVALSHA, script, number of keys
};

struct commit {
    const struct keyspace *k;
    struct head base;
    uint64_t epoch, revision, change; // of the head that it makes
    bool begins;
    struct commit_origin origin; // where it begins a history; no slices
    struct words found;          // the head that it replaces: epoch, revision, change
    struct digest digest;
    uint64_t models;
    struct buf ops;
    struct bell bell;
    struct words row_keys, row_args;
    struct buf audit;
    struct words idem; // key, outcome
    size_t records, documents;
    bool revokes;
    // While it is under way.
    struct redis *r;
    uint64_t log_keep, log_keep_bytes;
    bool whole; // the script's text was sent, not its hash
    void (*on_done)(void *ctx, enum commit_status status, struct slice outcome);
    void *ctx;
};

static void add_id(struct words *w, uint64_t id)
{
    char hex[HEAD_ID_HEX_LEN + 1];
    head_id_hex(id, hex);
    words_add(w, slice_make(hex, HEAD_ID_HEX_LEN));
}

struct commit *commit_create(const struct keyspace *k, const struct head *base)
{
    struct commit *c = xcalloc(1, sizeof(*c));
    c->k = k;
    c->base = *base;
    c->epoch = base->epoch;
    c->revision = base->revision + 1;
    c->change = head_new_id();
    add_id(&c->found, base->epoch);
    words_add_u64(&c->found, base->revision);
    add_id(&c->found, base->change);
    c->digest = base->digest;
    c->models = base->models;
    c->bell = (struct bell){.epoch = base->epoch,
                            .revision = c->revision,
                            .change = c->change,
                            .previous = base->change};
    return c;
}

void commit_begin_history(struct commit *c, const struct commit_origin *origin)
{
    const struct slice found[] = {origin->epoch, origin->found_revision, origin->change};
    CM_ASSERT(commit_is_empty(c) && origin->parent_count <= HEAD_PARENTS_MAX);
    c->begins = true;
    c->origin = *origin;
    c->epoch = head_new_id();
    c->revision = origin->revision;
    c->digest = origin->digest;
    c->models = origin->models;
    words_clear(&c->found);
    for (size_t i = 0; i < CM_ARRAY_LEN(found); i++)
        words_add(&c->found, found[i].ptr == NULL ? SLICE_LIT("") : found[i]);
    if (c->base.change == 0) // there was none: a change that nobody has
        c->base.change = head_new_id();
    c->bell = (struct bell){.epoch = c->epoch,
                            .revision = c->revision,
                            .change = c->change,
                            .previous = c->base.change};
}

void commit_destroy(struct commit *c)
{
    if (c == NULL)
        return;
    CM_ASSERT(c->r == NULL);
    words_fini(&c->found);
    buf_fini(&c->ops);
    words_fini(&c->row_keys);
    words_fini(&c->row_args);
    buf_fini(&c->audit);
    words_fini(&c->idem);
    free(c);
}

uint64_t commit_revision(const struct commit *c)
{
    return c->revision;
}

uint64_t commit_epoch(const struct commit *c)
{
    return c->epoch;
}

uint64_t commit_previous(const struct commit *c)
{
    return c->base.change;
}

struct head commit_head(const struct commit *c)
{
    struct head h = c->base;
    h.format = HEAD_FORMAT;
    h.epoch = c->epoch;
    h.revision = c->revision;
    h.change = c->change;
    h.digest = c->digest;
    h.models = c->models;
    if (c->begins) {
        h.parent_count = c->origin.parent_count;
        memcpy(h.parents, c->origin.parents, sizeof(h.parents));
    }
    return h;
}

uint64_t commit_change(const struct commit *c)
{
    return c->change;
}

size_t commit_records(const struct commit *c)
{
    return c->records;
}

size_t commit_words(const struct commit *c)
{
    return COMMAND_WORDS + FIXED_KEYS + FIXED_ARGS + c->row_keys.count + c->row_args.count;
}

size_t commit_documents(const struct commit *c)
{
    return c->documents;
}

bool commit_is_empty(const struct commit *c)
{
    return c->records == 0 && c->documents == 0 && !c->revokes;
}

// --- rows

static void add_row(struct commit *c, const char *command, struct slice key, size_t argc)
{
    words_add(&c->row_keys, key);
    words_add(&c->row_args, slice_of(command));
    words_add_u64(&c->row_args, argc);
}

static void add_row1(struct commit *c, const char *command, const char *key, struct slice arg)
{
    add_row(c, command, slice_of(key), 1);
    words_add(&c->row_args, arg);
}

static void add_row2(struct commit *c, const char *command, const char *key, struct slice arg1,
                     struct slice arg2)
{
    add_row(c, command, slice_of(key), 2);
    words_add(&c->row_args, arg1);
    words_add(&c->row_args, arg2);
}

// SET key value [EX seconds]; ttl_s 0 = for ever.
static void add_set(struct commit *c, struct slice key, struct slice value, uint64_t ttl_s)
{
    add_row(c, "SET", key, ttl_s > 0 ? 3 : 1);
    words_add(&c->row_args, value);
    if (ttl_s > 0) {
        words_add(&c->row_args, SLICE_LIT("EX"));
        words_add_u64(&c->row_args, ttl_s);
    }
}

void commit_put_model(struct commit *c, struct slice id, struct slice old_record,
                      struct slice record)
{
    if (old_record.ptr != NULL)
        c->digest = digest_subtract(c->digest, digest_record(id, old_record));
    else
        c->models++;
    c->digest = digest_add(c->digest, digest_record(id, record));
    c->records++;
    oplog_add_model(&c->ops, id, record);
    add_row2(c, "HSET", c->k->models, id, record);
}

void commit_remove_model(struct commit *c, struct slice id, struct slice old_record)
{
    CM_ASSERT(c->models > 0);
    c->digest = digest_subtract(c->digest, digest_record(id, old_record));
    c->models--;
    c->records++;
    oplog_add_remove(&c->ops, id);
    add_row1(c, "HDEL", c->k->models, id);
}

void commit_put_key(struct commit *c, const struct secret_digest *digest, struct slice record,
                    bool deny, uint64_t ttl_s)
{
    char name[KEYSPACE_NAME_MAX];
    size_t len = keyspace_key(c->k, digest, name);
    add_set(c, slice_make(name, len), record, ttl_s);
    c->records++;
    oplog_add_key(&c->ops, digest, deny);
    if (c->bell.key_count < BELL_KEYS_MAX)
        c->bell.keys[c->bell.key_count++] = (struct bell_key){.deny = deny, .digest = *digest};
}

void commit_put_document(struct commit *c, struct slice key_id, struct slice document)
{
    c->documents++;
    add_row2(c, "HSET", c->k->keys, key_id, document);
    add_row2(c, "ZADD", c->k->key_order, SLICE_LIT("0"), key_id);
}

void commit_revoke_document(struct commit *c, struct slice key_id, struct slice document,
                            int64_t now_s)
{
    char name[KEYSPACE_NAME_MAX];
    struct buf score = {0};
    c->revokes = true;
    add_row1(c, "HDEL", c->k->keys, key_id);
    add_row1(c, "ZREM", c->k->key_order, key_id);
    size_t len = keyspace_gone(c->k, key_id, name);
    add_set(c, slice_make(name, len), document, COMMIT_TOMBSTONE_S);
    buf_append_i64(&score, now_s);
    add_row2(c, "ZADD", c->k->gone_order, buf_slice(&score), key_id);
    // The index forgets with the documents, which expire by themselves.
    buf_clear(&score);
    buf_append_i64(&score, now_s - COMMIT_TOMBSTONE_S);
    add_row2(c, "ZREMRANGEBYSCORE", c->k->gone_order, SLICE_LIT("-inf"), buf_slice(&score));
    buf_fini(&score);
}

void commit_add_ref(struct commit *c, struct slice model_id, struct slice key_id)
{
    char name[KEYSPACE_NAME_MAX];
    keyspace_refs(c->k, model_id, name);
    add_row1(c, "SADD", name, key_id);
}

void commit_remove_ref(struct commit *c, struct slice model_id, struct slice key_id)
{
    char name[KEYSPACE_NAME_MAX];
    keyspace_refs(c->k, model_id, name);
    add_row1(c, "SREM", name, key_id);
}

void commit_audit(struct commit *c, struct slice entry)
{
    CM_ASSERT(entry.len > 0);
    buf_clear(&c->audit);
    buf_append_slice(&c->audit, entry);
}

void commit_idem(struct commit *c, struct slice digest_hex, struct slice outcome)
{
    char name[KEYSPACE_NAME_MAX];
    CM_ASSERT(outcome.len > 0);
    size_t len = keyspace_idem(c->k, digest_hex, name);
    words_clear(&c->idem);
    words_add(&c->idem, slice_make(name, len));
    words_add(&c->idem, outcome);
}

void commit_restore_idem(struct commit *c, struct slice key, struct slice outcome)
{
    add_set(c, key, outcome, COMMIT_IDEM_S);
}

static bool is_field_of(struct slice command, struct slice first, struct slice field)
{
    bool by_field =
        slice_equal(command, SLICE_LIT("HSET")) || slice_equal(command, SLICE_LIT("HDEL"));
    return field.ptr == NULL || !by_field || slice_equal(first, field);
}

bool commit_changes(const struct commit *c, struct slice key, struct slice field)
{
    if (slice_equal(key, slice_of(c->k->head)) || slice_equal(key, slice_of(c->k->log)) ||
        slice_equal(key, slice_of(c->k->audit)) ||
        (c->idem.count > 0 && slice_equal(key, words_at(&c->idem, 0))))
        return true;
    for (size_t i = 0, at = 0; i < c->row_keys.count; i++) {
        uint64_t count = 0;
        bool good = slice_parse_u64(words_at(&c->row_args, at + 1), c->row_args.count, &count);
        CM_ASSERT(good && count > 0);
        if (slice_equal(key, words_at(&c->row_keys, i)) &&
            is_field_of(words_at(&c->row_args, at), words_at(&c->row_args, at + 2), field))
            return true;
        at += 2 + (size_t)count;
    }
    return false;
}

// --- sending

static void add_fixed_keys(const struct commit *c, struct words *w)
{
    words_add(w, slice_of(c->k->head));
    words_add(w, slice_of(c->k->log));
    words_add(w, slice_of(c->k->audit));
    words_add(w, c->idem.count > 0 ? words_at(&c->idem, 0) : slice_of(c->k->head));
}

// What the script needs to begin a history; empty words where it begins none.
static void add_origin(const struct commit *c, struct words *w)
{
    struct buf text = {0};
    if (!c->begins) {
        for (size_t i = 0; i < 5; i++)
            words_add(w, SLICE_LIT(""));
        return;
    }
    words_add_u64(w, HEAD_FORMAT);
    add_id(w, c->epoch);
    for (size_t i = 0; i < c->origin.parent_count; i++) {
        char hex[HEAD_ID_HEX_LEN + 1];
        head_id_hex(c->origin.parents[i], hex);
        buf_printf(&text, "%s%s", i == 0 ? "" : " ", hex);
    }
    words_add(w, text.len > 0 ? buf_slice(&text) : SLICE_LIT(""));
    buf_clear(&text);
    if (c->origin.keep != COMMIT_KEEP_ALL)
        buf_append_str(&text, c->k->log);
    if (c->origin.keep == COMMIT_KEEP_NOTHING)
        buf_printf(&text, " %s %s %s %s", c->k->head, c->k->models, c->k->keys, c->k->key_order);
    words_add(w, text.len > 0 ? buf_slice(&text) : SLICE_LIT(""));
    buf_clear(&text);
    if (c->origin.keep == COMMIT_KEEP_NOTHING)
        keyspace_patterns(c->k, &text);
    words_add(w, text.len > 0 ? buf_slice(&text) : SLICE_LIT(""));
    buf_fini(&text);
}

// In the order that the script says at its top.
static void add_fixed_args(const struct commit *c, struct words *w)
{
    char digest[DIGEST_HEX_LEN + 1];
    struct buf bell = {0};
    digest_hex(c->digest, digest);
    bell_write(&bell, &c->bell);
    for (size_t i = 0; i < c->found.count; i++)
        words_add(w, words_at(&c->found, i));
    words_add_u64(w, commit_revision(c));
    add_id(w, c->change);
    words_add(w, slice_make(digest, DIGEST_HEX_LEN));
    words_add_u64(w, c->models);
    // Everything is new: nobody can come by the log, so it need not say it again.
    bool told = c->ops.len > 0 && c->origin.keep != COMMIT_KEEP_NOTHING;
    words_add(w, told ? buf_slice(&c->ops) : SLICE_LIT(""));
    words_add(w, c->audit.len > 0 ? buf_slice(&c->audit) : SLICE_LIT(""));
    words_add(w, c->idem.count > 0 ? words_at(&c->idem, 1) : SLICE_LIT(""));
    words_add_u64(w, COMMIT_IDEM_S);
    words_add(w, slice_of(c->k->bell));
    words_add(w, buf_slice(&bell));
    words_add_u64(w, c->log_keep);
    words_add_u64(w, c->log_keep_bytes);
    add_origin(c, w);
    buf_fini(&bell);
}

void commit_write_image(const struct commit *c, struct buf *out)
{
    struct words fixed = {0};
    add_fixed_keys(c, &fixed);
    add_fixed_args(c, &fixed);
    commit_image_write(out, &fixed, FIXED_KEYS, &c->row_keys, &c->row_args);
    words_fini(&fixed);
}

static void on_reply(void *ctx, const struct redisReply *reply);

static bool call_script(struct commit *c)
{
    struct words fixed = {0};
    words_add(&fixed, c->whole ? SLICE_LIT("EVAL") : SLICE_LIT("EVALSHA"));
    words_add(&fixed, c->whole ? script_commit() : script_commit_sha1());
    words_add_u64(&fixed, FIXED_KEYS + c->row_keys.count);
    add_fixed_keys(c, &fixed);
    add_fixed_args(c, &fixed);
    CM_ASSERT(fixed.count == COMMAND_WORDS + FIXED_KEYS + FIXED_ARGS);

    struct slice *argv =
        xmalloc((fixed.count + c->row_keys.count + c->row_args.count) * sizeof(*argv));
    size_t argc = 0;
    for (size_t i = 0; i < COMMAND_WORDS + FIXED_KEYS; i++)
        argv[argc++] = words_at(&fixed, i);
    for (size_t i = 0; i < c->row_keys.count; i++)
        argv[argc++] = words_at(&c->row_keys, i);
    for (size_t i = COMMAND_WORDS + FIXED_KEYS; i < fixed.count; i++)
        argv[argc++] = words_at(&fixed, i);
    for (size_t i = 0; i < c->row_args.count; i++)
        argv[argc++] = words_at(&c->row_args, i);
    bool sent = redis_command(c->r, argc, argv, on_reply, c);
    free(argv);
    words_fini(&fixed);
    return sent;
}

static void finish(struct commit *c, enum commit_status status, struct slice outcome)
{
    c->r = NULL;
    c->on_done(c->ctx, status, outcome); // may destroy c
}

static void on_reply(void *ctx, const struct redisReply *reply)
{
    struct commit *c = ctx;
    if (reply == NULL) {
        finish(c, COMMIT_UNKNOWN, SLICE_NONE);
        return;
    }
    if (reply_is_error(reply)) {
        bool is_missing = slice_starts_with(reply_bytes(reply), SLICE_LIT("NOSCRIPT"));
        if (!is_missing || c->whole) {
            finish(c, COMMIT_REFUSED, reply_bytes(reply));
            return;
        }
        c->whole = true;
        if (!call_script(c))
            finish(c, COMMIT_UNAVAILABLE, SLICE_NONE);
        return;
    }
    struct slice word = reply_count(reply) > 0 ? reply_bytes(reply_at(reply, 0)) : SLICE_NONE;
    if (slice_equal(word, SLICE_LIT("OK")))
        finish(c, COMMIT_OK, SLICE_NONE);
    else if (slice_equal(word, SLICE_LIT("CONFLICT")))
        finish(c, COMMIT_CONFLICT, SLICE_NONE);
    else if (slice_equal(word, SLICE_LIT("REPLAY")) && reply_count(reply) == 2)
        finish(c, COMMIT_REPLAY, reply_bytes(reply_at(reply, 1)));
    else
        finish(c, COMMIT_UNKNOWN, SLICE_NONE); // no answer of our script
}

static void on_unavailable(void *ctx)
{
    finish(ctx, COMMIT_UNAVAILABLE, SLICE_NONE);
}

void commit_send(struct commit *c, struct redis *r, uint64_t log_keep, uint64_t log_keep_bytes,
                 void (*on_done)(void *ctx, enum commit_status status, struct slice outcome),
                 void *ctx)
{
    CM_ASSERT(c->r == NULL && commit_words(c) <= COMMIT_WORDS_MAX);
    CM_ASSERT(c->records <= COMMIT_RECORDS_MAX || c->origin.keep == COMMIT_KEEP_NOTHING);
    c->r = r;
    c->log_keep = log_keep;
    c->log_keep_bytes = log_keep_bytes;
    c->whole = false;
    c->on_done = on_done;
    c->ctx = ctx;
    if (!call_script(c))
        later_run(redis_loop(r), on_unavailable, c);
}
