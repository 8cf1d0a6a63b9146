// SPDX-License-Identifier: Apache-2.0
// A pipelined read: the caller asks for objects by what they are, sends once,
// and reads the results by the slot numbers it got. The head is always read
// first, so what follows is at least as new as it.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/model/head.h"
#include "common/store/commit.h"
#include "common/store/keyspace.h"
#include "common/store/redis.h"

struct fetch;

CM_MUST_CHECK struct fetch *fetch_create(struct redis *r, const struct keyspace *k);
// Not while it is under way.
void fetch_destroy(struct fetch *f);

// Each returns the slot of its result.
size_t fetch_model(struct fetch *f, struct slice id);        // record or none
size_t fetch_model_exists(struct fetch *f, struct slice id); // "1" or none
size_t fetch_all_models(struct fetch *f);                    // list: id, record, id, record, ...
size_t fetch_key_document(struct fetch *f, struct slice key_id);  // admin document or none
size_t fetch_gone_document(struct fetch *f, struct slice key_id); // of a revoked key, or none
// Up to count key ids, ascending after `after` (or descending before `before`
// when that is not empty), exclusive. list of ids
size_t fetch_key_ids(struct fetch *f, struct slice after, struct slice before, size_t count);
size_t fetch_gone_ids(struct fetch *f, int64_t since_s); // list of ids revoked since then
size_t fetch_key_record(struct fetch *f, const struct secret_digest *digest); // or none
size_t fetch_refs(struct fetch *f, struct slice model_id);                    // list of key ids
size_t fetch_idem(struct fetch *f, struct slice digest_hex); // stored outcome or none
size_t fetch_log_change(struct fetch *f,
                        uint64_t revision);  // the change id (hex) of that revision, or none
size_t fetch_fleet(struct fetch *f);         // list: worker id, ack, ...
size_t fetch_all_documents(struct fetch *f); // of keys; list: key id, document, ...
size_t fetch_head_again(struct fetch *f);    // revision and change after all that was asked before
// Entries after that revision, oldest first, at most count; a large revision is several.
// list: revision, change, operations, ...
size_t fetch_log(struct fetch *f, uint64_t after, size_t count);
// Entries of the audit trail at that revision and beyond: below it, newest first, or
// upward, oldest first; at most count. list: revision, text, ...
size_t fetch_audit(struct fetch *f, uint64_t from, bool upward, size_t count);
// The revision of the newest entry of the log, of the audit trail; none also when
// something else lives there.
size_t fetch_newest_log(struct fetch *f);
size_t fetch_newest_audit(struct fetch *f);
// How many models, keys that are not revoked; a number, or none where Redis refuses it (no
// such right, something else lives there).
size_t fetch_model_count(struct fetch *f);
size_t fetch_key_count(struct fetch *f);

// Would c write to anything that was asked for? (Perhaps yes where it would not.)
bool fetch_is_changed_by(const struct fetch *f, const struct commit *c);

// ok false: Redis did not answer, or not all of it, or refused a part (logged), or
// the connection has no room for so many commands; results are empty then. on_done
// runs exactly once, in a later turn, and may destroy f; results live until
// fetch_destroy. May be sent again after on_done (results are replaced).
void fetch_send(struct fetch *f, void (*on_done)(void *ctx, bool ok), void *ctx);

enum head_status fetch_head(const struct fetch *f, struct head *out);
// The head's field as it was found, whatever it is; ptr NULL when it is missing.
struct slice fetch_head_field(const struct fetch *f, enum head_field field);
// ptr NULL when there is none. Of a list: its first.
struct slice fetch_result(const struct fetch *f, size_t slot);
size_t fetch_list_count(const struct fetch *f, size_t slot);
struct slice fetch_list_at(const struct fetch *f, size_t slot, size_t i);
