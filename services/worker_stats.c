// SPDX-License-Identifier: Apache-2.0
// Modules count for themselves, in plain structs; here their numbers are copied
// to the rows of the metrics table.
#include "services/worker_stats.h"

void worker_stats_store_state(const struct worker_stats *w)
{
    const struct feed *feed = feed_io_feed(w->io);
    struct feed_position position = feed_position(feed);
    struct shm_block *b = w->block;
    b->feed_state = feed_state(feed);
    b->feed_reason = feed_reason(feed);
    b->epoch = position.epoch;
    b->revision = position.revision;
    b->confirmed_ms = feed_confirmed_at(feed);
    b->from_disk = feed_is_from_disk(feed);
    b->ready = feed_state(feed) != FEED_EMPTY && !b->draining;
}

static void store_http(metric_value *values, const struct server_counters *c)
{
    metric_set(values, METRIC_CONNECTIONS_ACCEPTED, c->accepted);
    metric_set(values, METRIC_CONNECTIONS_REJECTED, c->rejected);
    metric_set(values, METRIC_CONNECTIONS_REAPED, c->reaped);
    metric_set(values, METRIC_CONNECTIONS_GUARDED, c->guarded);
    metric_set(values, METRIC_CONNECTIONS_OPEN, c->open);
    metric_set(values, METRIC_REQUESTS_IN_FLIGHT, c->in_flight);
}

static void store_tls(metric_value *values, const struct tls *tls)
{
    if (tls == NULL)
        return;
    struct tls_counters c = tls_counters(tls);
    metric_set(values, METRIC_TLS_STARTED, c.started);
    metric_set(values, METRIC_TLS_FULL, c.finished - c.resumed);
    metric_set(values, METRIC_TLS_RESUMED, c.resumed);
    int64_t expiry = tls_certificate(tls)->not_after;
    metric_set(values, METRIC_TLS_EXPIRY, expiry > 0 ? (uint64_t)expiry : 1); // 0 = no TLS
}

static void store_keys(metric_value *values, const struct key_gate *gate)
{
    struct key_gate_counters asked = key_gate_counters(gate);
    struct key_cache_counters held = key_cache_counters(key_gate_cache(gate));
    struct key_fill_counters read = key_gate_fill_counters(gate);
    metric_set(values, METRIC_KEY_HITS, asked.hits);
    metric_set(values, METRIC_KEY_MISSES, asked.misses);
    metric_set(values, METRIC_KEY_NEGATIVE_HITS, asked.negative_hits);
    metric_set(values, METRIC_KEY_EVICTIONS, held.evictions);
    metric_set(values, METRIC_KEY_BYTES, held.bytes);
    metric_set(values, METRIC_KEY_ENTRIES, held.known);
    metric_set(values, METRIC_KEY_DENIALS, held.denied);
    metric_set(values, METRIC_FILLS_FOUND, read.found);
    metric_set(values, METRIC_FILLS_ABSENT, read.absent);
    metric_set(values, METRIC_FILLS_FAILED, read.failed);
    metric_set(values, METRIC_FILL_RETRIES, read.retries);
    metric_set(values, METRIC_FILLS_IN_FLIGHT, read.in_flight);
}

static void store_feed(metric_value *values, const struct feed *feed)
{
    const struct feed_counters *c = feed_counters(feed);
    for (size_t state = 0; state <= METRIC_FEED_STATE_END - METRIC_FEED_STATE; state++)
        metric_set(values, METRIC_FEED_STATE + state, state == (size_t)feed_state(feed));
    metric_set(values, METRIC_FEED_REVISION, feed_position(feed).revision);
    metric_set(values, METRIC_FEED_BELLS, c->bells);
    metric_set(values, METRIC_FEED_GAPS, c->gaps);
    metric_set(values, METRIC_FEED_RELOADS, c->reloads);
    metric_set(values, METRIC_FEED_RELOAD_ABORTS, c->reload_aborts);
    metric_set(values, METRIC_FEED_DIGEST_MISMATCHES, c->digest_mismatches);
    metric_set(values, METRIC_FEED_FALLS, c->falls);
    metric_set(values, METRIC_FEED_SUSPECTS, c->suspects);
}

static void store_state(struct shm_block *b, struct keeper_counters kept)
{
    b->saved_ms = kept.saved_ms;
    metric_set(b->metrics, METRIC_STATE_SAVES, kept.saves);
    metric_set(b->metrics, METRIC_STATE_ERRORS, kept.errors);
}

void worker_stats_store_metrics(const struct worker_stats *w)
{
    metric_value *values = w->block->metrics;
    struct replica_refused refused = replica_refused(w->replica);
    store_http(values, server_counters(w->server));
    store_tls(values, w->tls);
    store_keys(values, w->gate);
    store_feed(values, feed_io_feed(w->io));
    metric_set(values, METRIC_REDIS_UP, feed_io_is_up(w->io));
    metric_set(values, METRIC_REDIS_RECONNECTS, w->links > 0 ? w->links - 1 : 0);
    metric_set(values, METRIC_CATALOG_MODELS, catalog_count(w->replica->shown));
    metric_set(values, METRIC_CATALOG_INVALID, refused.invalid);
    metric_set(values, METRIC_CATALOG_POISONED, refused.poisoned);
    if (*w->keeper != NULL)
        store_state(w->block, keeper_counters(*w->keeper));
}
