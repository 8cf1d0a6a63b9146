// SPDX-License-Identifier: Apache-2.0
// Reading one key's record for the cache, with the head before it in the same
// pipeline, so that the record is known to be at least that new.
#pragma once

#include "common/store/feed_io.h"
#include "common/store/redis.h"

enum { KEY_READ_MAX = 256, KEY_READ_COMMANDS = 2 }; // at a time; of each

struct key_reads {
    struct redis *data;
    const struct keyspace *keyspace;
    size_t under_way;
};

// As feed_io_read_key.
CM_MUST_CHECK bool key_read_start(struct key_reads *reads, const struct secret_digest *digest,
                                  void (*on_read)(void *ctx, const struct key_read *result),
                                  void *ctx);
