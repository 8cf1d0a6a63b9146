// SPDX-License-Identifier: Apache-2.0
// One revision: data, indexes, audit entry, log entry, idempotency outcome, head
// and bell in one script, all or nothing, compare-and-set on the head.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/head.h"
#include "common/store/keyspace.h"
#include "common/store/redis.h"

enum {
    // Redis stands still for a write. Only KEEP_NOTHING may be larger: it is one step or none.
    COMMIT_RECORDS_MAX = 10000,
    COMMIT_WORDS_MAX = 1000000, // Redis takes no longer command (1024 * 1024)
    COMMIT_TOMBSTONE_S = 30 * 24 * 3600,
    COMMIT_IDEM_S = 24 * 3600
};

enum commit_status {
    COMMIT_OK,
    COMMIT_CONFLICT, // the head is not the expected one any more: read again, plan again
    COMMIT_REPLAY,   // this idempotency key has an outcome already
    COMMIT_REFUSED,  // Redis refused (OOM, READONLY, NOREPLICAS, a log ahead of the head); nothing
                     // changed
    COMMIT_UNAVAILABLE, // not connected: nothing was sent
    COMMIT_UNKNOWN      // sent, no answer: look for the change in the log
};

struct commit;

// base: the head that the plan was made from; the new revision is base->revision + 1.
CM_MUST_CHECK struct commit *commit_create(const struct keyspace *k, const struct head *base);

// Makes it the first revision of a history that continues others (a repair, or a
// store that an operator accepted). Before any operation.
enum commit_keep {
    COMMIT_KEEP_ALL,     // records, and the log as far as it goes
    COMMIT_KEEP_RECORDS, // the log begins anew
    COMMIT_KEEP_NOTHING  // but the audit trail and what is known to be revoked
};
struct commit_origin {
    uint64_t revision; // above every one that anybody has seen
    size_t parent_count;
    uint64_t parents[HEAD_PARENTS_MAX]; // newest first
    enum commit_keep keep;
    // The head as it was found, word for word; ptr NULL where a field is missing.
    struct slice epoch, found_revision, change;
    // Of the model records that stay.
    struct digest digest;
    uint64_t models;
};
void commit_begin_history(struct commit *c, const struct commit_origin *origin);
void commit_destroy(struct commit *c); // not while it is under way
uint64_t commit_revision(const struct commit *c);
uint64_t commit_change(const struct commit *c);
uint64_t commit_epoch(const struct commit *c);    // the head's after it
uint64_t commit_previous(const struct commit *c); // the change before it
// The head that it makes.
struct head commit_head(const struct commit *c);
// Appends all that the script gets, to be read again by commit_image.
void commit_write_image(const struct commit *c, struct buf *out);

// Operations. Slices are copied. old_record is what the digest subtracts (ptr NULL = new model).
void commit_put_model(struct commit *c, struct slice id, struct slice old_record,
                      struct slice record);
void commit_remove_model(struct commit *c, struct slice id, struct slice old_record);
// The record that workers read. deny: it must be refused from now on (disabled,
// revoked, rotated away). ttl_s 0 = for ever.
void commit_put_key(struct commit *c, const struct secret_digest *digest, struct slice record,
                    bool deny, uint64_t ttl_s);
// The admin's document of a key; also keeps the order index.
void commit_put_document(struct commit *c, struct slice key_id, struct slice document);
// Moves it among the revoked (kept COMMIT_TOMBSTONE_S), at now_s.
void commit_revoke_document(struct commit *c, struct slice key_id, struct slice document,
                            int64_t now_s);
void commit_add_ref(struct commit *c, struct slice model_id, struct slice key_id);
void commit_remove_ref(struct commit *c, struct slice model_id, struct slice key_id);
void commit_audit(struct commit *c, struct slice entry); // JSON
void commit_idem(struct commit *c, struct slice digest_hex, struct slice outcome);
// An outcome of another write (key as in an image), which was lost with it.
void commit_restore_idem(struct commit *c, struct slice key, struct slice outcome);
size_t commit_records(const struct commit *c); // models and keys so far, against COMMIT_RECORDS_MAX
size_t commit_words(const struct commit *c);   // of the command so far, against COMMIT_WORDS_MAX
// Documents of keys that it puts.
size_t commit_documents(const struct commit *c);
bool commit_is_empty(const struct commit *c); // no model, key or document operation
// Does it write to that key (of a hash: to that field, unless its ptr is NULL)?
bool commit_changes(const struct commit *c, struct slice key, struct slice field);

// log_keep, log_keep_bytes bound the log (reached in steps of 16 entries a write;
// the newest entry always stays); the audit trail keeps about log_keep entries.
// on_done runs exactly once, later, and may destroy c; outcome is the stored one
// with COMMIT_REPLAY, Redis' words with COMMIT_REFUSED, valid inside on_done.
// c may be sent again after on_done: it is the same change.
void commit_send(struct commit *c, struct redis *r, uint64_t log_keep, uint64_t log_keep_bytes,
                 void (*on_done)(void *ctx, enum commit_status status, struct slice outcome),
                 void *ctx);

// Creates the history (revision 0) in an empty store. COMMIT_OK; COMMIT_CONFLICT
// when there is a head, a log, an audit trail, models or keys; COMMIT_REFUSED,
// COMMIT_UNAVAILABLE, COMMIT_UNKNOWN as above. on_done runs exactly once, later.
void commit_init_history(struct redis *r, const struct keyspace *k,
                         void (*on_done)(void *ctx, enum commit_status status), void *ctx);
