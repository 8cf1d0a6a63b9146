// SPDX-License-Identifier: Apache-2.0
// Names and help texts of the rows, in their enum's order.
#include "services/metrics_table.h"

#include "common/base/util.h"

#define COUNTER METRIC_COUNTER
#define GAUGE METRIC_GAUGE

#define REQUESTS "cm_http_requests_total"
#define REQUESTS_HELP "Requests by route and class of the answer; aborted: the client left first."
#define REQUEST_ROW(route_, route_name_, class_, class_name_)                                      \
    [METRIC_REQUESTS + (route_)*METRIC_CLASSES + (class_)] = {                                     \
        REQUESTS, "route=\"" route_name_ "\",code=\"" class_name_ "\"", COUNTER, REQUESTS_HELP}
#define REQUEST_ROWS(route_, name_)                                                                \
    REQUEST_ROW(route_, name_, METRIC_CLASS_2XX, "2xx"),                                           \
        REQUEST_ROW(route_, name_, METRIC_CLASS_3XX, "3xx"),                                       \
        REQUEST_ROW(route_, name_, METRIC_CLASS_4XX, "4xx"),                                       \
        REQUEST_ROW(route_, name_, METRIC_CLASS_5XX, "5xx"),                                       \
        REQUEST_ROW(route_, name_, METRIC_CLASS_ABORTED, "aborted")

#define FAILURES "cm_http_failures_total"
#define FAILURES_HELP "Requests answered with 500, by what was not known; cause in the log."
#define HANDSHAKES "cm_tls_handshakes_total"
#define HANDSHAKES_HELP "TLS handshakes that were completed."
#define FILLS "cm_key_fills_total"
#define FILLS_HELP "Reads of single keys from Redis, by what they found."
#define STATE "cm_feed_state"
#define REASON "cm_feed_reason"
#define REFUSED_HELP                                                                               \
    "Models not shown as Redis has them, for the record is invalid or crashed a worker twice."
#define REASON_HELP "1 for the reason why the feed is not live, else 0; as in /readyz."
#define TURNS_HELP "Turns of the loop, by the processor time that they took."
#define STATE_HELP "1 for the state that the feed is in, else 0."

const struct metric metrics_table[METRIC_ROWS] = {
    REQUEST_ROWS(METRIC_ROUTE_LIST, "list"),
    REQUEST_ROWS(METRIC_ROUTE_MODEL, "model"),
    REQUEST_ROWS(METRIC_ROUTE_PREFLIGHT, "preflight"),
    REQUEST_ROWS(METRIC_ROUTE_OTHER, "other"),

    [METRIC_FAILURES] = {FAILURES, "cause=\"bug\"", COUNTER, FAILURES_HELP},
    [METRIC_FAILURES + 1] = {FAILURES, "cause=\"store_away\"", COUNTER, FAILURES_HELP},
    [METRIC_FAILURES + 2] = {FAILURES, "cause=\"key_unsure\"", COUNTER, FAILURES_HELP},
    [METRIC_FAILURES + 3] = {FAILURES, "cause=\"too_many_waiting\"", COUNTER, FAILURES_HELP},
    [METRIC_FAILURES + 4] = {FAILURES, "cause=\"lease_over\"", COUNTER, FAILURES_HELP},
    [METRIC_FAILURES + 5] = {FAILURES, "cause=\"no_catalog\"", COUNTER, FAILURES_HELP},

    [METRIC_CONNECTIONS_ACCEPTED] = {"cm_http_connections_accepted_total", "", COUNTER,
                                     "Connections taken."},
    [METRIC_CONNECTIONS_REJECTED] = {"cm_http_connections_rejected_total", "", COUNTER,
                                     "Connections closed at once: CM_MAX_CONNECTIONS was reached."},
    [METRIC_CONNECTIONS_REAPED] = {"cm_http_connections_reaped_total", "", COUNTER,
                                   "Connections ended: idle, stalled or too slow."},
    [METRIC_CONNECTIONS_GUARDED] = {"cm_http_connections_guarded_total", "", COUNTER,
                                    "Connections ended for what they sent over HTTP/2."},
    [METRIC_CONNECTIONS_OPEN] = {"cm_http_connections", "", GAUGE, "Connections open now."},
    [METRIC_REQUESTS_IN_FLIGHT] = {"cm_http_requests_in_flight", "", GAUGE,
                                   "Requests whose answer has not left completely."},

    [METRIC_TLS_STARTED] = {"cm_tls_handshakes_started_total", "", COUNTER,
                            "TLS handshakes begun, also those that came to nothing."},
    [METRIC_TLS_FULL] = {HANDSHAKES, "kind=\"full\"", COUNTER, HANDSHAKES_HELP},
    [METRIC_TLS_RESUMED] = {HANDSHAKES, "kind=\"resumed\"", COUNTER, HANDSHAKES_HELP},
    [METRIC_TLS_EXPIRY] = {"cm_tls_cert_expiry_timestamp_seconds", "", GAUGE,
                           "When the certificate that is shown expires, as Unix time."},

    [METRIC_KEY_HITS] = {"cm_key_cache_hits_total", "", COUNTER,
                         "Requests whose key was known from memory."},
    [METRIC_KEY_MISSES] = {"cm_key_cache_misses_total", "", COUNTER,
                           "Requests whose key had to be read from Redis."},
    [METRIC_KEY_NEGATIVE_HITS] = {"cm_key_cache_negative_hits_total", "", COUNTER,
                                  "Requests whose key was remembered as unknown."},
    [METRIC_KEY_EVICTIONS] = {"cm_key_cache_evictions_total", "", COUNTER,
                              "Keys dropped from memory for want of room."},
    [METRIC_KEY_BYTES] = {"cm_key_cache_bytes", "", GAUGE,
                          "Memory of the key cache; CM_KEY_CACHE_MB bounds it."},
    [METRIC_KEY_ENTRIES] = {"cm_key_cache_entries", "", GAUGE, "Keys in memory."},
    [METRIC_KEY_DENIALS] = {"cm_key_cache_denials", "", GAUGE,
                            "Keys that this worker has been told to refuse."},

    [METRIC_FILLS_FOUND] = {FILLS, "result=\"found\"", COUNTER, FILLS_HELP},
    [METRIC_FILLS_ABSENT] = {FILLS, "result=\"absent\"", COUNTER, FILLS_HELP},
    [METRIC_FILLS_FAILED] = {FILLS, "result=\"failed\"", COUNTER, FILLS_HELP},
    [METRIC_FILL_RETRIES] = {"cm_key_fill_retries_total", "", COUNTER,
                             "Reads repeated because the key changed meanwhile."},
    [METRIC_FILLS_IN_FLIGHT] = {"cm_key_fills_in_flight", "", GAUGE,
                                "Keys that are being read from Redis now."},

    [METRIC_FEED_STATE] = {STATE, "state=\"empty\"", GAUGE, STATE_HELP},
    [METRIC_FEED_STATE + 1] = {STATE, "state=\"away\"", GAUGE, STATE_HELP},
    [METRIC_FEED_STATE + 2] = {STATE, "state=\"catchup\"", GAUGE, STATE_HELP},
    [METRIC_FEED_STATE + 3] = {STATE, "state=\"live\"", GAUGE, STATE_HELP},
    [METRIC_FEED_STATE + 4] = {STATE, "state=\"suspect\"", GAUGE, STATE_HELP},
    [METRIC_FEED_REASON] = {REASON, "reason=\"empty\"", GAUGE, REASON_HELP},
    [METRIC_FEED_REASON + 1] = {REASON, "reason=\"foreign\"", GAUGE, REASON_HELP},
    [METRIC_FEED_REASON + 2] = {REASON, "reason=\"went_back\"", GAUGE, REASON_HELP},
    [METRIC_FEED_REASON + 3] = {REASON, "reason=\"diverged\"", GAUGE, REASON_HELP},
    [METRIC_FEED_REASON + 4] = {REASON, "reason=\"newer_format\"", GAUGE, REASON_HELP},
    [METRIC_FEED_REASON + 5] = {REASON, "reason=\"corrupt\"", GAUGE, REASON_HELP},
    [METRIC_FEED_REASON + 6] = {REASON, "reason=\"unconfirmed\"", GAUGE, REASON_HELP},
    [METRIC_FEED_REVISION] = {"cm_feed_revision", "", GAUGE, "Revision that is served."},
    [METRIC_FEED_CONFIRMED_AGE] = {"cm_feed_confirmed_age_milliseconds", "", GAUGE,
                                   "Time since a read of Redis last confirmed what is served."},
    [METRIC_FEED_RELOADS] = {"cm_feed_reloads_total", "", COUNTER,
                             "Times that the whole catalog was read."},
    [METRIC_FEED_RELOAD_ABORTS] = {"cm_feed_reload_aborts_total", "", COUNTER,
                                   "Reloads given up because the store moved under them."},
    [METRIC_FEED_GAPS] = {"cm_feed_gaps_total", "", COUNTER,
                          "Times that the log no longer reached back to our revision."},
    [METRIC_FEED_DIGEST_MISMATCHES] =
        {"cm_feed_digest_mismatches_total", "", COUNTER,
         "Times that equal revisions had other contents; must stay 0."},
    [METRIC_FEED_FALLS] = {"cm_feed_falls_total", "", COUNTER,
                           "Times that a lower revision was taken because Redis had lost writes."},
    [METRIC_FEED_SUSPECTS] = {"cm_feed_suspects_total", "", COUNTER,
                              "Times that the store's history was held as suspect."},
    [METRIC_FEED_BELLS] = {"cm_feed_bells_total", "", COUNTER, "Announcements heard."},

    [METRIC_REDIS_UP] = {"cm_redis_up", "", GAUGE, "1 while the data connection is up."},
    [METRIC_REDIS_RECONNECTS] = {"cm_redis_reconnects_total", "", COUNTER,
                                 "Data connections made after the first."},
    [METRIC_CATALOG_MODELS] = {"cm_catalog_models", "", GAUGE,
                               "Models in memory, disabled ones too."},
    [METRIC_CATALOG_INVALID] = {"cm_catalog_refused", "why=\"invalid\"", GAUGE, REFUSED_HELP},
    [METRIC_CATALOG_POISONED] = {"cm_catalog_refused", "why=\"poisoned\"", GAUGE, REFUSED_HELP},
    [METRIC_FROM_DISK] = {"cm_feed_from_disk", "", GAUGE,
                          "1 while what is served comes from CM_STATE_DIR, not confirmed since."},
    [METRIC_STATE_AGE] = {"cm_state_saved_age_milliseconds", "", GAUGE,
                          "Time since all that CM_STATE_DIR should hold was written there."},
    [METRIC_STATE_SAVES] = {"cm_state_saves_total", "", COUNTER,
                            "Catalogs written to CM_STATE_DIR."},
    [METRIC_STATE_ERRORS] = {"cm_state_errors_total", "", COUNTER,
                             "Writes to CM_STATE_DIR that failed."},
    [METRIC_LOG_DROPPED] = {"cm_log_dropped_total", "", COUNTER,
                            "Log lines dropped because stderr would have blocked."},

    [METRIC_TURNS] = {"cm_loop_turns_total", "cpu=\"under_500us\"", COUNTER, TURNS_HELP},
    [METRIC_TURNS + 1] = {"cm_loop_turns_total", "cpu=\"under_1ms\"", COUNTER, TURNS_HELP},
    [METRIC_TURNS + 2] = {"cm_loop_turns_total", "cpu=\"under_2ms\"", COUNTER, TURNS_HELP},
    [METRIC_TURNS + 3] = {"cm_loop_turns_total", "cpu=\"under_10ms\"", COUNTER, TURNS_HELP},
    [METRIC_TURNS + 4] = {"cm_loop_turns_total", "cpu=\"longer\"", COUNTER, TURNS_HELP},
    [METRIC_TURN_LONGEST] = {"cm_loop_turn_longest_microseconds", "", GAUGE,
                             "Processor time of the longest turn since the worker started."},

    [METRIC_CPU_MS] = {"cm_process_cpu_milliseconds_total", "", COUNTER,
                       "Processor time, user and system."},
    [METRIC_RESIDENT_BYTES] = {"cm_process_resident_bytes", "", GAUGE, "Resident memory."},
};

size_t metrics_request_row(enum metric_route route, int status)
{
    enum metric_class class = METRIC_CLASS_ABORTED;
    if (status >= 200)
        class = (enum metric_class)(status / 100 - 2);
    CM_ASSERT(class < METRIC_CLASSES && route < METRIC_ROUTES);
    return METRIC_REQUESTS + (size_t)route * METRIC_CLASSES + class;
}
