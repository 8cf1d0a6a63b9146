// SPDX-License-Identifier: Apache-2.0
// The model test's small world: one store with its admins, one to three workers
// (a feed each, with the catalog, key table and fills of a real worker in
// miniature), the links between, a clock, and what must always be true. One
// history is a run of it under one seed; the same seed gives the same history.
//
// feed_model_store.c  the store, its true history, and what happens to it
// feed_model_net.c    time, links, delays: who hears what when
// feed_model_disk.c   what a worker keeps, and how it starts from it
// feed_model_host.c   the worker around the feed: catalogs, keys, fills, requests
// feed_model_check.c  the invariants
// feed_model.c        one history: chaos, then peace, then the reckoning
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/model/feed.h"

enum {
    MODELS = 4,
    KEYS = 3,
    NODES = 120, // states of all histories of one run
    WORKERS = 3,
    EVENTS = 256,
    VERSIONS = 240, // of model records
    ADMINS = 2,
    OPS = 4, // of one revision
    PAGE = 6,
    // Milliseconds; the proportions of the real ones.
    POLL_MS = 100,
    REPAIR_WAIT_MS = 300,
    MAX_STALE_MS = 1500,
    NOTICE_MS = 60, // until a master that was cut off knows that nobody vouches for it
    NEGATIVE_MS = 200,
    FILL_MS = 200,
    CONFIRM_MS = 20,
    FILL_TRIES = 3
};

// ------------------------------------------------------------------- the store

enum key_standing { KEY_UNKNOWN, KEY_GOOD, KEY_BAD };

struct sim_key {
    uint8_t standing;  // enum key_standing
    uint16_t revision; // of its record
};

// A state that the store was in: what is true at (epoch, revision, change).
// The change id is the node's number + CHANGE_BASE, so that it leads back here.
struct node {
    uint64_t epoch;
    uint64_t parents[HEAD_PARENTS_MAX];
    uint8_t parent_count;
    int16_t before; // the node that it was made from; -1 for a first one
    uint16_t revision;
    uint16_t version[MODELS]; // of the record; 0 = absent
    struct sim_key keys[KEYS];
    struct digest digest;
    uint8_t models;
    uint8_t bell_keys, bell_denies; // bit sets of the keys that it touches
    uint16_t ops_len;
    char ops[OPS * (SECRET_HEX_LEN + 4)];
};

enum { CHANGE_BASE = 0xc000, EPOCH_BASE = 0xe000 };

struct store {
    int head;   // node; -1 = no head
    int models; // node whose records lie in the hash; -1 = none
    int16_t log[NODES];
    int log_first, log_end;
    int log_keep;
    bool foreign, newer, garbled; // what a reader finds instead
    int corrupt;                  // model that somebody deleted by hand; -1 = none
    int tip;                      // the admin's journal: the newest node it made; -1 = none
    bool lost;                    // the head lacks writes of the journal
    uint32_t fault_at;            // the last time that anything was done to it but writing
    uint32_t bad_since[KEYS];     // key is not good at the head since; NEVER = it is good
    int admin_base[ADMINS];
};

// ----------------------------------------------------------------- the workers

enum { NEVER = UINT32_MAX };

struct entry {
    bool present, dirty, unverified, negative;
    uint8_t standing;
    uint16_t revision; // of the record
    uint16_t denied;   // at that revision; 0 = not
    uint32_t negative_until;
    uint32_t lease; // while unverified: the last confirmation before the reload
    int16_t node;   // where it was read
};

struct fill {
    bool active, marked, have;
    uint8_t tries, waiting; // requests
    uint16_t turn;          // of the read, to tell late answers
    uint16_t number;        // of the fill, to tell late timeouts
    uint16_t sent_revision;
    int16_t node; // the answer, once have
};

// What a request has waited for.
enum waited { NOT_YET, FOR_CONFIRM, FOR_FILL };
enum verdict { PASS, REFUSE, UNKNOWN, FILL, CONFIRM, NONE_YET };

enum reading { READ_NOTHING, READ_HEAD, READ_LOG, READ_SCAN, READ_KEY };

struct worker {
    struct feed *feed;
    uint8_t number;
    bool inside; // the feed is running
    bool told_up, path, bell_path;
    bool isolated;       // it is linked to an old master, cut off from all else, that stands ...
    int16_t isolated_at; // ... at this node ...
    uint32_t isolated_since; // ... since then
    uint16_t link;           // number of the connection: what belongs to an older one is lost
    uint32_t path_since, stalled_until;
    uint32_t last_exec, last_reply; // replies of one connection stay in order
    enum reading reading;

    uint16_t live[MODELS], stage[MODELS];
    bool staging, drafting, unshown;
    struct oplog_entry entries_of_log[PAGE]; // while the feed takes them in
    uint16_t walk;                           // number of that answer
    uint8_t cursor;
    struct entry entries[KEYS];
    struct fill fills[KEYS];

    // What the invariants remember.
    int at; // node of its position; -1 = none
    uint64_t at_epoch;
    uint64_t falls;
    bool fall_due, gap_seen, suspect_lost;
    uint32_t lost_since;
    uint16_t noted[KEYS];  // the highest change of the key that it was told of by the log
    uint16_t denied[KEYS]; // the highest denial that came in
    int16_t came[PAGE];    // by the log, just now
    uint8_t came_count;
    uint64_t forged[KEYS][4]; // revisions at which a bell that nobody rang denied it
    bool in_log;
    uint32_t last_sent; // send time of the head that came in last
    int last_head;      // its node; -1 = none
    int told;           // node of the last report in state live; -1 = the last was in another
    enum verdict verdicts[KEYS]; // of the last request
};

// What is on disk: two generations of the catalog, and the diary.
struct disk {
    struct {
        int16_t at; // node; -1 = none
        uint64_t epoch;
        uint16_t live[MODELS];
    } catalogs[2]; // the newest first
    struct entry entries[KEYS];
    uint32_t confirmed; // as of the entries that are verified
    int16_t at;         // where the feed stood then; -1 = nowhere
    uint64_t epoch;
    uint16_t denied[KEYS]; // the checker's: what is in the diary
};

// --------------------------------------------------------------------- events

enum event_kind {
    EVENT_CHAOS,
    EVENT_REPAIR,
    EVENT_TICK,
    EVENT_REQUEST,
    EVENT_RETRY,
    EVENT_FILL_TIMEOUT,
    EVENT_BELL,
    EVENT_LINK_DOWN,
    EVENT_LINK_UP,
    EVENT_TURN, // of the loop, while a log answer is taken in
    EVENT_ASK,  // a read reaches the store
    EVENT_ANSWER_HEAD,
    EVENT_ANSWER_LOG,
    EVENT_ANSWER_SCAN,
    EVENT_ANSWER_KEY
};

struct event {
    uint32_t at, order;
    uint8_t kind; // enum event_kind
    uint8_t worker;
    uint8_t what;  // ask: enum reading; head: enum head_status; log: what is damaged; scan:
                   // is it the last page; else the key
    uint8_t count; // log: entries; scan: the next page; ask: the key, the part
    uint16_t link, turn;
    uint16_t after; // log: the revision; scan: the page
    uint8_t part;   // log: of the revision after that one
    bool confirms;  // head
    int16_t node;   // head and key: the answer; -1 = none. bell: -1 = forged
    union {
        struct {
            int16_t nodes[PAGE];
            uint8_t parts[PAGE];
        } log;
        uint16_t versions[MODELS];
        uint32_t sent;
        struct {
            uint16_t epoch, revision;
            uint8_t keys, denies;
        } bell;
    } body;
};

// What can go wrong. A history has some of them.
enum fault {
    FAULT_LOSE, // the store forgets its last writes
    FAULT_FLUSH,
    FAULT_DELETE_HEAD,
    FAULT_FOREIGN, // another store answers for a while
    FAULT_NEWER,
    FAULT_GARBLED,
    FAULT_CORRUPT,  // a record is deleted by hand
    FAULT_NO_ADMIN, // nobody repairs
    FAULT_CUT,
    FAULT_BELL_CUT,
    FAULT_STALL,
    FAULT_CRASH,
    FAULT_LOSE_DISK, // a crash may take the newest catalog with it, or all
    FAULT_ISOLATE,   // a worker is left alone with an old master
    FAULT_FORGE,
    FAULT_GARBLE_LOG, // an answer comes damaged, or with a hole
    FAULTS
};

struct sim {
    uint64_t random;
    uint64_t seed, history;
    bool tracing;
    jmp_buf *failed;
    char why[256];

    uint32_t now, order;
    int event_count;
    struct event events[EVENTS];

    struct store store;
    int node_count, foreign_node;
    uint16_t epochs, next_version;
    struct node nodes[NODES];

    int worker_count;
    struct worker workers[WORKERS];
    struct disk disks[WORKERS];

    uint32_t peace_at;                             // since then no more chaos; 0 = not yet
    uint32_t faults;                               // kinds that this history has
    uint32_t delay_max, bell_delay_max, bell_loss; // of 256
    uint32_t log_page, scan_page;
    uint32_t slice; // bytes of operations a turn; 0 = as they come
    bool parted;    // every operation is an entry of its own
    int chaos_left;
    // Over all runs.
    uint64_t drafts, drafts_dropped, torn; // torn: a revision came in several answers
    uint64_t steps, passed, refused, restored, distrusted, accepted;
    struct feed_counters totals;
};

extern struct sim sim;

// One history. False: sim.why says what was violated.
bool feed_model_run(uint64_t seed, uint64_t history, bool tracing);
void feed_model_prepare(void); // once

uint32_t sim_random(uint32_t bound); // 0..bound-1
bool sim_chance(uint32_t of_256);
__attribute__((format(printf, 1, 2))) void sim_trace_line(const char *format, ...);
#define sim_trace(...)                                                                             \
    do {                                                                                           \
        if (sim.tracing)                                                                           \
            sim_trace_line(__VA_ARGS__);                                                           \
    } while (0)
// Ends the history.
__attribute__((noreturn, format(printf, 2, 3))) void sim_violation(const struct worker *w,
                                                                   const char *format, ...);
#define sim_require(condition_, w_, ...)                                                           \
    do {                                                                                           \
        if (!(condition_))                                                                         \
            sim_violation((w_), __VA_ARGS__);                                                      \
    } while (0)

// Store.
struct node *node_of(int n);
int node_of_change(uint64_t change);       // -1: none
bool node_is_before(int older, int newer); // or the same
bool node_has_parent(int n, uint64_t epoch);
// Its log entry, or a part of it. False: it has no such part.
bool node_entry(int n, unsigned part, struct oplog_entry *out);
void store_reset(void);
int store_view(enum head_status *status); // what a reader finds: a node, or -1
void store_fault(enum fault fault);
void store_repair(void);
void store_heal(void);
void store_commit(int admin);
void store_init(void);

// Net.
void sim_push(uint32_t delay, enum event_kind kind);
void sim_push_key(struct worker *w, uint32_t delay, enum event_kind kind, int key, uint16_t turn);
void sim_step(void); // the next event happens
void sim_chaos(void);
void net_ask(struct worker *w, enum reading what, uint16_t after, unsigned part);
void net_ask_key(struct worker *w, int key, uint16_t turn);
void net_ring(int node);
void net_cut(struct worker *w, uint32_t down_ms);
void net_fault(enum fault fault, struct worker *w);
void net_heal(void);

// Host.
void host_start(struct worker *w);
void host_stop(struct worker *w);
void host_answer(struct worker *w, const struct event *e);
void host_request(struct worker *w, int key, enum waited waited);
void host_evict(struct worker *w, int key);
void host_fill_timeout(struct worker *w, int key, uint16_t turn);
void host_link(struct worker *w, bool up);
void host_tick(struct worker *w);
void host_turn(struct worker *w, uint16_t walk);
void host_bell(struct worker *w, const struct event *e);
void host_confirm(struct worker *w);

// Disk.
void disk_reset(struct disk *d);
void disk_note(struct worker *w); // the diary: what the worker knows of keys now
void disk_denied(struct worker *w, int key, uint16_t revision);
void disk_settled(struct worker *w); // the feed has returned: a time to write
void disk_lose(struct worker *w);    // a part of it
void disk_load(struct worker *w);    // into a worker that has just started

// Check.
void check_settled(struct worker *w);
void check_report(struct worker *w);
void check_stage_begin(struct worker *w);
// A log answer comes in; a denial comes in by a bell.
void check_log(struct worker *w, const struct event *e, const struct oplog_entry *entries,
               size_t count, bool garbled);
void check_deny_seen(struct worker *w, int key, uint16_t revision, bool forged, bool for_us);
void check_passed(struct worker *w, int key);
void check_refused(struct worker *w, int key);
bool check_converged(const struct worker *w);
