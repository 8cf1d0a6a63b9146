// SPDX-License-Identifier: Apache-2.0
// Walks over many keys in the order of their ids, a chunk of documents at a time,
// for the lists.
#pragma once

#include "admin/key_doc.h"
#include "admin/reading.h"

enum { KEY_WALK_CHUNK = 256, KEY_WALK_CURSOR_MAX = KEY_ID_MAX + 2 };

enum key_walk_source {
    KEY_WALK_LIVE,
    KEY_WALK_REVOKED,
    KEY_WALK_REFERRING // the keys with an alias to one model
};

// Part of a handler's state. Set the first four; the rest starts zeroed.
struct key_walk {
    enum key_walk_source source;
    struct slice model_id; // KEY_WALK_REFERRING
    bool backward;
    char cursor[KEY_WALK_CURSOR_MAX]; // exclusive; "" = from the start

    size_t ids_slot;
    bool documents; // this round's documents were asked for
    size_t count;
    size_t slots[KEY_WALK_CHUNK];
};

// Starts a round: asks for ids.
void key_walk_ask(struct key_walk *walk, struct fetch *f, int64_t now_s);
// With the ids there: asks for documents and moves the cursor. READING_MORE, or
// READING_DONE when there are no more keys; with the documents there READING_DONE
// and count > 0.
CM_MUST_CHECK enum reading_verdict key_walk_step(struct key_walk *walk, struct fetch *f);
// Document i of the round, i < count; NULL when it has gone meanwhile. The caller
// destroys it.
CM_MUST_CHECK struct key_doc *key_walk_document(const struct key_walk *walk, const struct fetch *f,
                                                size_t i);
