// SPDX-License-Identifier: Apache-2.0
// A fill reads the head and then the key, in one pipeline, so the key is at
// least as new as the head. While the answer is on its way the key may change
// and the news may come first; if the old record then went into the cache, the
// news would be lost and a revoked key would live on. Hence the guard: news about
// a key that is being read marks the fill, and an answer whose head is older
// than the news is thrown away and read again. (Measured without: more than
// half of the races left a revoked key valid.)
//
//   QUEUED   KEY_FILL_READS_MAX reads are in flight already: its turn will come
//   READING  a read is in flight
//   PARKED   the answer was of a history or a state that is not the feed's: the
//            feed is looking; when it is live again the key is read again
//   HELD     the record is of a revision that the catalog has not reached: used
//            with the older catalog the answer would mix two revisions
//   ENDED    given up, nobody waits; lives until its read returns
//
// Reads are few and guessed keys are many, so fills wait in lines. A key in memory
// that has to be read again has a line, and a quarter of the reads, that no other key
// can take. Whether another key is good is not known before it was read; but who
// guesses does it on few connections with many requests each, and who comes with a
// good key asks for one. So the first fill of a connection goes before its further ones.
//
// READING -> the cache, or PARKED, HELD, or one more read; from each of them a
// fill may fail: the store is away, KEY_FILL_TRIES reads were not good enough, or
// KEY_FILL_PATIENCE_MS are over. Then nothing is cached.
#include "services/key_fill.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

enum fill_state { FILL_QUEUED, FILL_READING, FILL_PARKED, FILL_HELD, FILL_ENDED };

struct fill {
    struct key_fill *owner;
    struct secret_digest digest;
    enum key_line line;
    enum fill_state state;
    int tries;
    uint64_t sent_revision;           // that the feed had told of when the read left
    bool all_changed;                 // the guard's marks, since the read left
    uint64_t changed_at;              // 0 = not changed
    struct key *held;                 // HELD
    uint64_t held_as_of, held_change; // of the head that was read with it
    uint64_t deadline_ms;
    struct key_waiter *first_waiter, **last_waiter;
    struct fill *next;          // in the bucket
    struct fill *older, *newer; // of those that are not ENDED
    struct fill *next_queued;   // QUEUED
};

struct line {
    struct fill *first_queued, **last_queued;
    size_t fills; // ENDED ones too
};

enum { BUCKETS = 4096 };

struct key_fill {
    const struct key_source *source;
    void *ctx;
    struct key_cache *cache;
    struct fill *buckets[BUCKETS];
    struct fill *oldest, *newest;
    struct line lines[KEY_LINES];
    size_t reads;                      // in flight, those of ENDED ones too
    size_t reads_others;               // of them, those that are not KNOWN's
    unsigned turn;                     // reads begun from the lines
    size_t waiters;                    // beyond the first of each fill
    struct key_fill_counters counters; // in_flight counts ENDED ones too
};

static struct fill **bucket_of(struct key_fill *f, const struct secret_digest *digest)
{
    uint32_t hash;
    memcpy(&hash, digest->bytes, sizeof(hash));
    return &f->buckets[hash % BUCKETS];
}

static struct fill *find(struct key_fill *f, const struct secret_digest *digest)
{
    struct fill *fill = *bucket_of(f, digest);
    while (fill != NULL && !secret_digest_equal(&fill->digest, digest))
        fill = fill->next;
    return fill;
}

static void link_fill(struct key_fill *f, struct fill *fill)
{
    struct fill **bucket = bucket_of(f, &fill->digest);
    fill->next = *bucket;
    *bucket = fill;
    fill->older = f->newest;
    *(f->newest != NULL ? &f->newest->newer : &f->oldest) = fill;
    f->newest = fill;
}

static void unlink_fill(struct key_fill *f, struct fill *fill)
{
    struct fill **at = bucket_of(f, &fill->digest);
    while (*at != fill)
        at = &(*at)->next;
    *at = fill->next;
    *(fill->older != NULL ? &fill->older->newer : &f->oldest) = fill->newer;
    *(fill->newer != NULL ? &fill->newer->older : &f->newest) = fill->older;
}

static struct line *line_of(const struct fill *fill)
{
    return &fill->owner->lines[fill->line];
}

static void enqueue(struct fill *fill)
{
    struct line *line = line_of(fill);
    fill->state = FILL_QUEUED;
    fill->next_queued = NULL;
    *line->last_queued = fill;
    line->last_queued = &fill->next_queued;
}

static void dequeue(struct fill *fill)
{
    struct line *line = line_of(fill);
    struct fill **at = &line->first_queued;
    while (*at != fill)
        at = &(*at)->next_queued;
    *at = fill->next_queued;
    if (line->last_queued == &fill->next_queued)
        line->last_queued = at;
}

static void free_fill(struct fill *fill)
{
    line_of(fill)->fills--;
    fill->owner->counters.in_flight--;
    free(fill);
}

// The one way out: off the books first, because whoever waited may join anew.
static void end(struct fill *fill, enum key_fill_outcome outcome)
{
    struct key_fill *f = fill->owner;
    struct key_waiter *w = fill->first_waiter;
    if (outcome != KEY_FILL_READ)
        f->counters.failed++;
    unlink_fill(f, fill);
    if (fill->state == FILL_QUEUED)
        dequeue(fill);
    key_destroy(fill->held);
    if (fill->state == FILL_READING)
        fill->state = FILL_ENDED;
    else
        free_fill(fill);
    for (struct key_waiter *next; w != NULL; w = next) {
        next = w->next;
        f->waiters -= next != NULL;
        w->on_filled(w, outcome);
    }
}

static bool can_ask(const struct key_sense *now)
{
    return now->up && (now->state == FEED_LIVE || now->state == FEED_CATCHUP);
}

static bool may_read(const struct key_fill *f, enum key_line line)
{
    return f->reads < KEY_FILL_READS_MAX &&
           (line == KEY_LINE_KNOWN || f->reads_others < KEY_FILL_READS_OTHERS);
}

static void count_read(struct fill *fill, bool begins)
{
    struct key_fill *f = fill->owner;
    size_t one = begins ? 1 : SIZE_MAX;
    f->reads += one;
    f->reads_others += fill->line == KEY_LINE_KNOWN ? 0 : one;
}

static void on_read(void *reader, const struct key_read *result);

// False: the store cannot be asked.
static bool start_read(struct fill *fill, const struct key_sense *now)
{
    struct key_fill *f = fill->owner;
    if (!can_ask(now))
        return false;
    if (!may_read(f, fill->line)) {
        enqueue(fill);
        return true;
    }
    fill->tries++;
    fill->sent_revision = now->told_revision;
    fill->all_changed = false;
    fill->changed_at = 0;
    if (!f->source->read_key(f->ctx, &fill->digest, on_read, fill))
        return false;
    fill->state = FILL_READING;
    count_read(fill, true);
    return true;
}

static void read_again(struct fill *fill, const struct key_sense *now)
{
    key_destroy(fill->held);
    fill->held = NULL;
    if (fill->tries >= KEY_FILL_TRIES)
        end(fill, KEY_FILL_UNSURE);
    else if (!start_read(fill, now))
        end(fill, KEY_FILL_AWAY);
}

// -- the answer -------------------------------------------------------------

// Has a change overtaken what was read at that revision?
static bool is_overtaken(const struct fill *fill, uint64_t as_of)
{
    return fill->all_changed || as_of < fill->changed_at;
}

static void retry_overtaken(struct fill *fill, const struct key_sense *now)
{
    fill->owner->counters.retries++;
    read_again(fill, now);
}

// Has the feed been where the answer comes from? Revisions alone do not tell: a
// store that lost its latest writes counts them a second time.
static bool is_on_path(const struct fill *fill, uint64_t epoch, uint64_t revision, uint64_t change)
{
    const struct key_fill *f = fill->owner;
    return f->source->has_passed(f->ctx, epoch, revision, change);
}

// Is the answer of the feed's own history, and not of a past of it? What is ahead
// of the feed is asked again when the feed is there. The past begins below what the feed
// has told of: it takes in a large revision piece by piece, and tells of the keys first.
// A read that leaves then is not marked by them any more; should the store lose that
// revision before it answers, the feed still arrives there, and the answer was before it.
static bool is_of_feed(const struct fill *fill, const struct key_read *r,
                       const struct feed_position *at)
{
    return r->epoch == at->epoch && r->revision >= fill->sent_revision &&
           (r->revision > at->revision || is_on_path(fill, r->epoch, r->revision, r->change));
}

static void keep_absent(struct fill *fill, uint64_t as_of, const struct key_sense *now)
{
    struct key_fill *f = fill->owner;
    key_cache_put_absent(f->cache, &fill->digest, as_of, now->now_ms);
    f->counters.absent++;
    end(fill, KEY_FILL_READ);
}

static void keep_held(struct fill *fill)
{
    struct key_fill *f = fill->owner;
    key_cache_put(f->cache, &fill->digest, fill->held, fill->held_as_of);
    fill->held = NULL;
    f->counters.found++;
    end(fill, KEY_FILL_READ);
}

// A record that nobody can read gives no rights, neither those that it had before.
static void drop_invalid(struct fill *fill)
{
    char hex[SECRET_HEX_LEN + 1];
    secret_digest_hex(&fill->digest, hex);
    LOG_ERROR("key_record_invalid", LOG_STR("sha256_starts", slice_make(hex, 12)));
    key_cache_forget(fill->owner->cache, &fill->digest);
    end(fill, KEY_FILL_UNSURE);
}

static void take_record(struct fill *fill, const struct key_read *r, const struct key_sense *now)
{
    struct key_fill *f = fill->owner;
    fill->held = key_parse(r->record);
    fill->held_as_of = r->revision;
    fill->held_change = r->change;
    if (fill->held == NULL) {
        drop_invalid(fill);
    } else if (r->revision <= now->position.revision) {
        keep_held(fill);
    } else {
        fill->state = FILL_HELD;
        f->source->confirm(f->ctx);
    }
}

static void judge(struct fill *fill, const struct key_read *result, const struct key_sense *now)
{
    struct key_fill *f = fill->owner;
    fill->state = FILL_PARKED;
    if (result->status == KEY_READ_FAILED)
        end(fill, KEY_FILL_AWAY);
    else if (!is_of_feed(fill, result, &now->position))
        f->source->confirm(f->ctx);
    else if (is_overtaken(fill, result->revision))
        retry_overtaken(fill, now);
    else if (result->status == KEY_READ_ABSENT)
        keep_absent(fill, result->revision, now);
    else
        take_record(fill, result, now);
}

// Whose read is next, or NULL when nobody who may read waits.
static struct fill *next_queued(struct key_fill *f)
{
    struct line *further = &f->lines[KEY_LINE_FURTHER];
    if (f->turn % KEY_FILL_FURTHER_TURN == KEY_FILL_FURTHER_TURN - 1 &&
        further->first_queued != NULL && may_read(f, KEY_LINE_FURTHER))
        return further->first_queued;
    for (enum key_line line = 0; line < KEY_LINES; line++)
        if (f->lines[line].first_queued != NULL && may_read(f, line))
            return f->lines[line].first_queued;
    return NULL;
}

static void serve_queues(struct key_fill *f, const struct key_sense *now)
{
    for (struct fill *fill; (fill = next_queued(f)) != NULL;) {
        f->turn++;
        dequeue(fill);
        fill->state = FILL_PARKED;
        if (!start_read(fill, now))
            end(fill, KEY_FILL_AWAY);
    }
}

static void on_read(void *reader, const struct key_read *result)
{
    struct fill *fill = reader;
    struct key_fill *f = fill->owner;
    struct key_sense now;
    f->source->sense(f->ctx, &now);
    count_read(fill, false);
    if (fill->state == FILL_ENDED)
        free_fill(fill);
    else
        judge(fill, result, &now);
    serve_queues(f, &now);
}

// -- news -------------------------------------------------------------------

void key_fill_key_changed(struct key_fill *f, const struct secret_digest *digest, uint64_t revision)
{
    struct fill *fill = find(f, digest);
    if (CM_FILL_GUARD && fill != NULL && revision > fill->changed_at)
        fill->changed_at = revision;
}

void key_fill_all_changed(struct key_fill *f)
{
    for (struct fill *fill = f->oldest; CM_FILL_GUARD && fill != NULL; fill = fill->newer)
        fill->all_changed = true;
}

// The catalog is as new as the held record. Is it of the same history?
static void keep_if_passed(struct fill *fill, const struct key_sense *now)
{
    if (is_on_path(fill, now->position.epoch, fill->held_as_of, fill->held_change))
        keep_held(fill);
    else
        read_again(fill, now);
}

static void look_again(struct fill *fill, const struct key_sense *now)
{
    if (fill->state == FILL_READING)
        return;
    if (!can_ask(now))
        end(fill, KEY_FILL_AWAY);
    else if (fill->state == FILL_HELD && is_overtaken(fill, fill->held_as_of))
        retry_overtaken(fill, now);
    else if (fill->state == FILL_HELD && now->position.revision >= fill->held_as_of)
        keep_if_passed(fill, now);
    else if (fill->state == FILL_PARKED && now->state == FEED_LIVE)
        read_again(fill, now);
}

void key_fill_on_feed(struct key_fill *f)
{
    struct key_sense now;
    f->source->sense(f->ctx, &now);
    struct fill *last = f->newest; // later ones are of those who have waited here
    for (struct fill *fill = f->oldest, *next; fill != NULL; fill = next) {
        next = fill == last ? NULL : fill->newer;
        look_again(fill, &now);
    }
}

uint64_t key_fill_deadline(const struct key_fill *f)
{
    return f->oldest == NULL ? UINT64_MAX : f->oldest->deadline_ms;
}

void key_fill_on_time(struct key_fill *f)
{
    struct key_sense now;
    f->source->sense(f->ctx, &now);
    while (f->oldest != NULL && f->oldest->deadline_ms <= now.now_ms)
        end(f->oldest, KEY_FILL_UNSURE);
}

// -- joining ----------------------------------------------------------------

static bool has_room(const struct key_fill *f, enum key_line line)
{
    size_t most = line == KEY_LINE_FIRST ? KEY_FILLS_FIRST_MAX : KEY_FILLS_MAX;
    return f->lines[line].fills < most;
}

static struct fill *start(struct key_fill *f, const struct secret_digest *digest,
                          enum key_line line)
{
    if (!has_room(f, line))
        return NULL;
    struct key_sense now;
    f->source->sense(f->ctx, &now);
    struct fill *fill = xcalloc(1, sizeof(*fill));
    fill->owner = f;
    fill->digest = *digest;
    fill->line = line;
    fill->deadline_ms = now.now_ms + KEY_FILL_PATIENCE_MS;
    fill->last_waiter = &fill->first_waiter;
    if (!start_read(fill, &now)) {
        free(fill);
        return NULL;
    }
    f->counters.in_flight++;
    f->lines[line].fills++;
    link_fill(f, fill);
    return fill;
}

bool key_fill_join(struct key_fill *f, const struct secret_digest *digest, enum key_line line,
                   struct key_waiter *w)
{
    struct fill *fill = find(f, digest);
    bool begins = fill == NULL;
    if (begins)
        fill = start(f, digest, line);
    if (fill == NULL || (!begins && f->waiters >= KEY_FILL_WAITERS_MAX))
        return false;
    w->next = NULL;
    *fill->last_waiter = w;
    fill->last_waiter = &w->next;
    f->waiters += !begins;
    return true;
}

struct key_fill_counters key_fill_counters(const struct key_fill *f)
{
    return f->counters;
}

struct key_fill *key_fill_create(const struct key_source *source, void *ctx,
                                 struct key_cache *cache)
{
    struct key_fill *f = xcalloc(1, sizeof(*f));
    f->source = source;
    f->ctx = ctx;
    f->cache = cache;
    for (enum key_line line = 0; line < KEY_LINES; line++)
        f->lines[line].last_queued = &f->lines[line].first_queued;
    return f;
}

void key_fill_destroy(struct key_fill *f)
{
    if (f == NULL)
        return;
    while (f->oldest != NULL) {
        CM_ASSERT(f->oldest->state != FILL_READING);
        end(f->oldest, KEY_FILL_AWAY);
    }
    CM_ASSERT(f->reads == 0 && f->counters.in_flight == 0);
    free(f);
}
