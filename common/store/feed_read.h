// SPDX-License-Identifier: Apache-2.0
// The three reads that the feed asks for: head (with the question whether the
// answer can be relied on), log, records. An answer goes to
// the feed; one that makes no sense fails the connection.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/model/feed.h"
#include "common/store/keyspace.h"
#include "common/store/redis.h"
#include "common/store/sentinel.h"

// Entries are of some 8 KB (see commit.lua), so an answer is half a megabyte at most,
// here and in the buffers of Redis; only records of that size and more make it larger.
enum { FEED_READ_LOG_COUNT = 64, FEED_READ_SCAN_COUNT = 32, FEED_READ_CURSOR_MAX = 20 };

// One of these at a time is under way (the feed sees to it). All members but the
// last eight are the owner's to set; they must outlive it.
struct feed_read {
    struct redis *data;
    const struct sentinel *sentinel; // NULL: Redis is asked at a fixed address
    const struct keyspace *keyspace;
    struct feed *feed;
    // The feed has been told and has returned; was_head: of a head.
    void (*after)(void *ctx, bool was_head);
    // A large answer: feed_read_turn shall be called every turn until it says that it
    // is done. (Not inside this.)
    void (*begun)(void *ctx);
    void *ctx;
    bool closed; // set by the owner: answers are dropped from now on
    uint64_t sent_ms;
    enum head_status status; // of the head whose INFO is under way
    struct head head;
    struct redisReply *log; // the log's answer while the feed takes it in
    struct oplog_entry entries[FEED_READ_LOG_COUNT];
    char cursor[FEED_READ_CURSOR_MAX + 1];
    size_t cursor_len;
};

void feed_read_head(struct feed_read *r);
// Entries from that part of the revision after that one.
void feed_read_log(struct feed_read *r, uint64_t after, uint32_t part);
// The next page of the records; restart: the first.
void feed_read_scan(struct feed_read *r, bool restart);
// True: no more turns are needed.
CM_MUST_CHECK bool feed_read_turn(struct feed_read *r);
// The feed has been told that the link is down, or is gone.
void feed_read_drop(struct feed_read *r);
