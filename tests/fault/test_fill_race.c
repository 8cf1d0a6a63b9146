// SPDX-License-Identifier: Apache-2.0
// The race of a fill against a change: a key's record is read, the answer is
// held up by 0 to 4 ms, and meanwhile the key is revoked or its alias re-pointed
// on a real Redis, whose bell and log arrive when they do. Afterwards nothing of
// before the change may be served. Answers of key reads are held up after they
// came, each for itself, as if every read had a connection of its own: the rule
// must not lean on the order of one connection.
//
// The same source is built with CM_FILL_GUARD=0 (test_fill_race_unguarded). That
// one passes when the rule's absence shows.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "services/key_gate.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test.h"

enum { TRIALS = 10000, BATCH = 50, DELAY_MAX_US = 4000, STALE_UNGUARDED_MIN = 100 };

static const char before[] = "[{\"match\":\"exact\",\"name\":\"a\",\"target\":\"v/before\"}]";
static const char after[] = "[{\"match\":\"exact\",\"name\":\"a\",\"target\":\"v/after\"}]";

struct trial {
    struct secret_digest digest;
    uint64_t ask_at_us, change_at_us;
    bool asked, changed, judged;
    struct key_question question;
};

// A read whose answer is held up.
struct held {
    struct held *next;
    struct race *race;
    uint64_t at_us;
    bool answered;
    void (*on_read)(void *reader, const struct key_read *result);
    void *reader;
    struct key_read result;
    char *record;
};

struct race {
    struct store_fixture store;
    struct redis_url url;
    struct feed_io *io;
    struct key_gate *gate;
    uv_timer_t alarm, tick;
    struct held *held;
    struct head head; // as our own commits move it
    size_t commits;   // under way
    struct trial trials[BATCH];
    unsigned seed;
    bool closed;
};

static unsigned draw(struct race *r, unsigned n)
{
    return (unsigned)rand_r(&r->seed) % n;
}

// -- the worker around the gate ---------------------------------------------

static void on_put_model(void *ctx, bool staged, struct slice id, struct slice record)
{
    (void)ctx, (void)staged, (void)id, (void)record;
}

static void on_remove_model(void *ctx, bool staged, struct slice id)
{
    (void)ctx, (void)staged, (void)id;
}

static void on_begin(void *ctx, bool copy)
{
    (void)ctx, (void)copy;
}

static void on_nothing(void *ctx)
{
    (void)ctx;
}

static void on_key_changed(void *ctx, const struct secret_digest *key, bool deny, uint64_t revision)
{
    key_gate_key_changed(((struct race *)ctx)->gate, key, deny, revision);
}

static void on_keys_unverified(void *ctx)
{
    key_gate_keys_unverified(((struct race *)ctx)->gate);
}

static void on_feed(void *ctx)
{
    key_gate_on_feed(((struct race *)ctx)->gate);
}

static void on_describe(void *ctx, struct ack *ack)
{
    (void)ctx;
    strcpy(ack->id, "race-0-1");
}

static void on_sense(void *ctx, struct key_sense *out)
{
    const struct race *r = ctx;
    *out = (struct key_sense){.now_ms = clock_boot_ms(), .wall_s = clock_wall_s()};
    if (r->io == NULL)
        return;
    const struct feed *feed = feed_io_feed(r->io);
    out->up = feed_io_is_up(r->io);
    out->state = feed_state(feed);
    out->position = feed_position(feed);
    out->told_revision = feed_told_revision(feed);
    out->confirmed_ms = feed_confirmed_at(feed);
}

static void on_read(void *ctx, const struct key_read *result)
{
    struct held *h = ctx;
    h->result = *result;
    h->record = xstrndup(result->record.ptr, result->record.len);
    h->result.record = slice_make(h->record, result->record.len);
    h->at_us = clock_boot_us() + draw(h->race, DELAY_MAX_US);
    h->answered = true;
}

static bool on_read_key(void *ctx, const struct secret_digest *digest,
                        void (*on_result)(void *reader, const struct key_read *result),
                        void *reader)
{
    struct race *r = ctx;
    struct held *h = xcalloc(1, sizeof(*h));
    *h = (struct held){.race = r, .on_read = on_result, .reader = reader, .next = r->held};
    if (!feed_io_read_key(r->io, digest, on_read, h)) {
        free(h);
        return false;
    }
    r->held = h;
    return true;
}

static bool on_has_passed(void *ctx, uint64_t epoch, uint64_t revision, uint64_t change_id)
{
    return feed_has_passed(feed_io_feed(((struct race *)ctx)->io), epoch, revision, change_id);
}

static void on_confirm(void *ctx)
{
    feed_confirm(feed_io_feed(((struct race *)ctx)->io));
}

static void on_alarm(uv_timer_t *timer)
{
    key_gate_on_time(CM_CONTAINER_OF(timer, struct race, alarm)->gate);
}

static void on_wake_at(void *ctx, uint64_t at_ms)
{
    struct race *r = ctx;
    uint64_t now = clock_boot_ms();
    uv_timer_start(&r->alarm, on_alarm, at_ms > now ? at_ms - now : 0, 0);
}

// -- trials -----------------------------------------------------------------

static void on_committed(void *ctx, enum commit_status status, struct slice outcome)
{
    struct race *r = ctx;
    (void)outcome;
    assert_int_equal(status, COMMIT_OK);
    r->commits--;
}

struct sent_commit {
    struct race *race;
    struct commit *commit;
};

static void on_sent(void *ctx, enum commit_status status, struct slice outcome)
{
    struct sent_commit *sent = ctx;
    on_committed(sent->race, status, outcome);
    commit_destroy(sent->commit);
    free(sent);
}

// Commits leave in order on one connection, so the next may be planned at once.
static void send_commit(struct race *r, struct commit *c)
{
    struct sent_commit *sent = xmalloc(sizeof(*sent));
    *sent = (struct sent_commit){r, c};
    r->head.revision = commit_revision(c);
    r->head.change = commit_change(c);
    r->commits++;
    commit_send(c, r->store.owner.redis, 1000, 1 << 24, on_sent, sent);
}

static void put_key(struct race *r, struct commit *c, const struct trial *t, bool revoke,
                    const char *aliases)
{
    struct buf record = {.len = 0};
    json_t *array = json_loads(aliases, 0, NULL);
    (void)r;
    key_write_record(&record, commit_revision(c), "key_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                     revoke ? KEY_REVOKED : KEY_ACTIVE, 0, revoke ? NULL : array);
    commit_put_key(c, &t->digest, buf_slice(&record), revoke, 0);
    json_decref(array);
    buf_fini(&record);
}

static bool is_revocation(const struct race *r, const struct trial *t)
{
    return (t - r->trials) % 2 == 0;
}

static void change(struct race *r, struct trial *t)
{
    struct commit *c = commit_create(&r->store.keyspace, &r->head);
    put_key(r, c, t, is_revocation(r, t), after);
    send_commit(r, c);
    t->changed = true;
}

static void on_verdict(struct key_question *q, enum key_verdict verdict, struct key_entry *entry)
{
    (void)verdict, (void)entry;
    CM_CONTAINER_OF(q, struct trial, question)->judged = true;
}

static void ask(struct race *r, struct trial *t)
{
    struct key_entry *entry;
    enum key_verdict verdict = key_gate_ask(r->gate, &t->digest, &entry);
    t->asked = true;
    t->question = (struct key_question){.digest = t->digest, .on_verdict = on_verdict};
    bool later = verdict == KEY_LATER_READ || verdict == KEY_LATER_CONFIRM;
    if (!later || !key_gate_wait(r->gate, &t->question, verdict))
        t->judged = true;
}

static void release_due(struct race *r, uint64_t now_us)
{
    for (struct held **at = &r->held; *at != NULL;) {
        struct held *h = *at;
        if (!h->answered || h->at_us > now_us) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        h->on_read(h->reader, &h->result); // may put new ones in front
        free(h->record);
        free(h);
        at = &r->held;
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct race *r = CM_CONTAINER_OF(timer, struct race, tick);
    uint64_t now = clock_boot_us();
    for (struct trial *t = r->trials; t < r->trials + BATCH; t++) {
        if (!t->asked && now >= t->ask_at_us)
            ask(r, t);
        if (!t->changed && now >= t->change_at_us)
            change(r, t);
    }
    release_due(r, now);
}

static bool is_followed(void *ctx)
{
    const struct race *r = ctx;
    return r->commits == 0 && feed_position(feed_io_feed(r->io)).revision == r->head.revision &&
           feed_state(feed_io_feed(r->io)) == FEED_LIVE;
}

static bool is_over(void *ctx)
{
    struct race *r = ctx;
    for (const struct trial *t = r->trials; t < r->trials + BATCH; t++)
        if (!t->changed || !t->judged)
            return false;
    return r->held == NULL && is_followed(r);
}

static bool is_stale(struct race *r, const struct trial *t)
{
    struct key_entry *entry;
    if (key_gate_ask(r->gate, &t->digest, &entry) != KEY_GRANTED)
        return false;
    return is_revocation(r, t) ||
           slice_equal(entry->key->aliases->items[0].target, SLICE_LIT("v/before"));
}

static size_t run_batch(struct race *r)
{
    struct commit *c = commit_create(&r->store.keyspace, &r->head);
    memset(r->trials, 0, sizeof(r->trials));
    for (struct trial *t = r->trials; t < r->trials + BATCH; t++) {
        util_random(&t->digest, sizeof(t->digest));
        t->asked = t->changed = true; // not before the clock below
        put_key(r, c, t, false, before);
    }
    send_commit(r, c);
    loop_run_until(&r->store.loop, is_followed, r, 10000);
    uint64_t start = clock_boot_us();
    for (struct trial *t = r->trials; t < r->trials + BATCH; t++) {
        t->ask_at_us = start + draw(r, DELAY_MAX_US);
        t->change_at_us = start + draw(r, 2 * DELAY_MAX_US);
        t->asked = t->changed = false;
    }
    loop_run_until(&r->store.loop, is_over, r, 10000);
    size_t stale = 0;
    for (struct trial *t = r->trials; t < r->trials + BATCH; t++)
        stale += is_stale(r, t);
    return stale;
}

// -- the test ---------------------------------------------------------------

static void on_closed(void *ctx, const struct ack *unheard)
{
    (void)unheard;
    ((struct race *)ctx)->closed = true;
}

static void start(struct race *r)
{
    static const struct feed_actions actions = {.put_model = on_put_model,
                                                .remove_model = on_remove_model,
                                                .stage_begin = on_begin,
                                                .stage_drop = on_nothing,
                                                .stage_commit = on_nothing,
                                                .publish = on_nothing,
                                                .key_changed = on_key_changed,
                                                .keys_unverified = on_keys_unverified};
    static const struct key_source source = {.sense = on_sense,
                                             .read_key = on_read_key,
                                             .has_passed = on_has_passed,
                                             .confirm = on_confirm,
                                             .wake_at = on_wake_at};
    char error[REDIS_URL_ERROR_MAX];
    store_fixture_init(&r->store, NULL);
    r->head = store_fixture_head(&r->store);
    assert_true(redis_url_parse(slice_of(r->store.server.url), &r->url, error));
    uv_timer_init(&r->store.loop, &r->alarm);
    uv_timer_init(&r->store.loop, &r->tick);
    uv_timer_start(&r->tick, on_tick, 1, 1);
    r->gate = key_gate_create(&(struct key_gate_options){
        .source = &source, .ctx = r, .cache_bytes = 64 << 20, .poll_ms = 250, .max_stale_s = 60});
    r->io = feed_io_open(&r->store.loop, &(struct feed_io_options){.url = &r->url,
                                                                   .keyspace = &r->store.keyspace,
                                                                   .poll_ms = 250,
                                                                   .repair_wait_ms = 3000,
                                                                   .actions = &actions,
                                                                   .ctx = r,
                                                                   .describe = on_describe,
                                                                   .on_change = on_feed});
}

static void stop(struct race *r)
{
    feed_io_close(r->io, on_closed, r);
    loop_run_until_set(&r->store.loop, &r->closed, 5000);
    r->io = NULL;
    key_gate_destroy(r->gate);
    uv_close((uv_handle_t *)&r->alarm, NULL);
    uv_close((uv_handle_t *)&r->tick, NULL);
    redis_url_fini(&r->url);
    store_fixture_fini(&r->store);
}

static void nothing_of_before_the_change_is_served(void **state)
{
    (void)state;
    const char *given = getenv("CM_TEST_SEED");
    static struct race r;
    r.seed = given != NULL ? (unsigned)atoi(given) : (unsigned)getpid();
    printf("seed: %u\n", r.seed);
    start(&r);
    for (struct trial *t = r.trials; t < r.trials + BATCH; t++)
        t->asked = t->changed = t->judged = true;
    size_t stale = 0;
    for (int done = 0; done < TRIALS; done += BATCH)
        stale += run_batch(&r);
    printf("figure: fill against change, rule %s: %zu stale of %d, %llu read again\n",
           CM_FILL_GUARD ? "on" : "compiled out", stale, (int)TRIALS,
           (unsigned long long)key_gate_fill_counters(r.gate).retries);
    stop(&r);
    if (CM_FILL_GUARD)
        assert_int_equal(stale, 0);
    else
        assert_true(stale > STALE_UNGUARDED_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_before_the_change_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
