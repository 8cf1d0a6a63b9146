// SPDX-License-Identifier: Apache-2.0
#include "tests/support/kept_world.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/temp_dir.h"

struct kept_world kept;

static struct head target;

static void ignore(void *ctx)
{
    (void)ctx;
}

static void on_read_log(void *ctx, uint64_t after, uint32_t part)
{
    (void)part;
    (void)ctx;
    (void)after;
}

static void on_scan(void *ctx, bool restart)
{
    (void)ctx;
    (void)restart;
}

static void on_put(void *ctx, bool staged, struct slice id, struct slice record)
{
    (void)ctx;
    replica_put(&kept.replica, staged, id, record);
}

static void on_remove(void *ctx, bool staged, struct slice id)
{
    (void)ctx;
    replica_remove(&kept.replica, staged, id);
}

static void on_begin(void *ctx, bool copy)
{
    (void)ctx;
    replica_stage_begin(&kept.replica, copy);
}

static void on_drop(void *ctx)
{
    (void)ctx;
    replica_stage_drop(&kept.replica);
}

static void on_commit(void *ctx)
{
    (void)ctx;
    replica_stage_commit(&kept.replica);
}

static void on_key(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    (void)ctx;
    if (deny)
        key_cache_deny(kept.cache, key, revision);
    else
        key_cache_change(kept.cache, key, revision);
}

static void on_unverified(void *ctx)
{
    (void)ctx;
    key_cache_unverify(kept.cache, feed_confirmed_at(kept.feed));
}

static const struct feed_actions actions = {.read_head = ignore,
                                            .read_log = on_read_log,
                                            .scan_models = on_scan,
                                            .put_model = on_put,
                                            .remove_model = on_remove,
                                            .stage_begin = on_begin,
                                            .stage_drop = on_drop,
                                            .stage_commit = on_commit,
                                            .publish = ignore,
                                            .key_changed = on_key,
                                            .keys_unverified = on_unverified,
                                            .report = ignore};

static void on_noted(void *ctx)
{
    (void)ctx;
    kept.noted++;
}

void kept_open(unsigned slot, const char *store, const struct poison *poison)
{
    memset(&kept, 0, sizeof(kept));
    loop_open(&kept.loop);
    replica_init(&kept.replica, poison != NULL ? poison : &(struct poison){.shm = NULL});
    kept.feed = feed_create(&actions, NULL, 1000);
    kept.cache = key_cache_create(4 << 20);
    const struct keeper_options options = {.loop = &kept.loop,
                                           .path = temp_dir,
                                           .store = store,
                                           .slot = slot,
                                           .replica = &kept.replica,
                                           .feed = kept.feed,
                                           .cache = kept.cache,
                                           .on_noted = on_noted};
    kept.keeper = keeper_open(&options);
}

static void on_closed(void *ctx, bool ended)
{
    (void)ctx;
    kept.ended = ended;
    kept.closed = true;
}

static void release(void)
{
    feed_destroy(kept.feed);
    key_cache_destroy(kept.cache);
    replica_fini(&kept.replica);
    loop_close(&kept.loop);
    kept.keeper = NULL;
}

void kept_close(void)
{
    keeper_close(kept.keeper, 10000, on_closed, NULL);
    loop_run_until_set(&kept.loop, &kept.closed, 10000);
    assert_true(kept.ended);
    release();
}

static bool has_saved(void *ctx)
{
    return keeper_counters(kept.keeper).saved_ms > *(uint64_t *)ctx;
}

void kept_await_save(void)
{
    uint64_t before = clock_boot_ms();
    kept_confirm();
    loop_run_until(&kept.loop, has_saved, &before, 20000);
}

static void record_of(unsigned n, int created, struct buf *id, struct buf *record)
{
    buf_clear(id);
    buf_clear(record);
    buf_printf(id, "v/%u", n);
    buf_printf(record,
               "{\"id\":\"v/%u\",\"display_name\":\"x\",\"created\":%d,\"owned_by\":\"v\","
               "\"architecture\":{\"input_modalities\":[\"text\"],\"output_modalities\":"
               "[\"text\"]},\"status\":\"active\",\"revision\":1}",
               n, created);
}

static void tell_head(void)
{
    feed_on_head(kept.feed, HEAD_OK, &target, clock_boot_ms(), true);
}

// A reload, which is what any change can become.
static void reload(unsigned models, int created)
{
    struct buf id = {.ptr = NULL}, record = {.ptr = NULL};
    for (unsigned n = 0; n < models; n++) {
        record_of(n, created, &id, &record);
        struct feed_record r = {buf_slice(&id), buf_slice(&record)};
        feed_on_scan(kept.feed, &r, 1, n + 1 == models);
    }
    if (models == 0)
        feed_on_scan(kept.feed, NULL, 0, true);
    tell_head();
    buf_fini(&id);
    buf_fini(&record);
}

static void set_target(uint64_t revision, unsigned models, int created)
{
    struct buf id = {.ptr = NULL}, record = {.ptr = NULL};
    target = (struct head){.format = 1,
                           .epoch = 0xe1,
                           .revision = revision,
                           .change = 0xc000 + revision,
                           .models = models};
    for (unsigned n = 0; n < models; n++) {
        record_of(n, created, &id, &record);
        target.digest =
            digest_add(target.digest, digest_record(buf_slice(&id), buf_slice(&record)));
    }
    buf_fini(&id);
    buf_fini(&record);
}

void kept_live(uint64_t revision, unsigned models, int created)
{
    set_target(revision, models, created);
    feed_on_link(kept.feed, false);
    feed_on_link(kept.feed, true);
    tell_head();
    if (feed_state(kept.feed) == FEED_LIVE)
        return;
    if (feed_position(kept.feed).epoch != 0)
        feed_on_log(kept.feed, NULL, 0, false); // trimmed
    reload(models, created);
    assert_int_equal(feed_state(kept.feed), FEED_LIVE);
}

void kept_confirm(void)
{
    feed_on_tick(kept.feed);
    tell_head();
}

struct secret_digest kept_digest(unsigned n)
{
    struct secret_digest d;
    memset(&d, 0, sizeof(d));
    memcpy(d.bytes, &n, sizeof(n));
    return d;
}

void kept_read_key(const struct secret_digest *digest, const char *key_state, uint64_t revision)
{
    char record[200];
    snprintf(record, sizeof(record),
             "{\"rev\":%llu,\"id\":\"key_01M874CZMVBQCA9TNKD46576TY\",\"state\":\"%s\"}",
             (unsigned long long)revision, key_state);
    struct key *k = key_parse(slice_of(record));
    assert_non_null(k);
    key_cache_put(kept.cache, digest, k, feed_position(kept.feed).revision);
}

int64_t kept_created(unsigned n)
{
    char id[32];
    snprintf(id, sizeof(id), "v/%u", n);
    const struct model *m = catalog_find(kept.replica.shown, slice_of(id));
    return m == NULL ? -1 : m->created;
}
