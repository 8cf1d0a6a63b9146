// SPDX-License-Identifier: Apache-2.0
// The first write of all: it happens once in the life of a store, so the script
// goes whole.
#include <stdlib.h>

#include "common/store/commit.h"
#include "common/store/later.h"
#include "common/store/scripts.h"

struct init {
    void (*on_done)(void *ctx, enum commit_status status);
    void *ctx;
};

static void finish(struct init *i, enum commit_status status)
{
    void (*on_done)(void *, enum commit_status) = i->on_done;
    void *ctx = i->ctx;
    free(i);
    on_done(ctx, status);
}

static void on_unavailable(void *ctx)
{
    finish(ctx, COMMIT_UNAVAILABLE);
}

static void on_reply(void *ctx, const struct redisReply *reply)
{
    if (reply == NULL) {
        finish(ctx, COMMIT_UNKNOWN);
        return;
    }
    if (reply_is_error(reply)) {
        finish(ctx, COMMIT_REFUSED);
        return;
    }
    struct slice word = reply_count(reply) > 0 ? reply_bytes(reply_at(reply, 0)) : SLICE_NONE;
    finish(ctx, slice_equal(word, SLICE_LIT("OK"))         ? COMMIT_OK
                : slice_equal(word, SLICE_LIT("CONFLICT")) ? COMMIT_CONFLICT
                                                           : COMMIT_UNKNOWN);
}

void commit_init_history(struct redis *r, const struct keyspace *k,
                         void (*on_done)(void *ctx, enum commit_status status), void *ctx)
{
    char format[2] = {'0' + HEAD_FORMAT, '\0'}, epoch[HEAD_ID_HEX_LEN + 1],
         change[HEAD_ID_HEX_LEN + 1], digest[DIGEST_HEX_LEN + 1];
    _Static_assert(HEAD_FORMAT < 10, "the format is written as one digit");
    head_id_hex(head_new_id(), epoch);
    head_id_hex(head_new_id(), change);
    digest_hex((struct digest){0}, digest);
    struct slice argv[] = {
        SLICE_LIT("EVAL"), script_init(),      SLICE_LIT("5"),      slice_of(k->head),
        slice_of(k->log),  slice_of(k->audit), slice_of(k->models), slice_of(k->keys),
        slice_of(format),  slice_of(epoch),    slice_of(change),    slice_of(digest),
    };
    struct init *i = xmalloc(sizeof(*i));
    i->on_done = on_done;
    i->ctx = ctx;
    if (!redis_command(r, CM_ARRAY_LEN(argv), argv, on_reply, i))
        later_run(redis_loop(r), on_unavailable, i);
}
