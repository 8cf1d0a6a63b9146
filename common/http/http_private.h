// SPDX-License-Identifier: Apache-2.0
// What the files of common/http share behind server.h, call.h and reply.h. The
// only header that shows libh2o.
#pragma once

#include <h2o.h>
#include <stdbool.h>
#include <uv.h>

#include "common/http/guard.h"
#include "common/http/server.h"

// The headers serve two flavours of libh2o, chosen by a macro; with the wrong one
// the library writes 2,016 bytes into an 864-byte context.
_Static_assert(H2O_USE_LIBUV == 1, "built for libh2o's uv flavour");
_Static_assert(sizeof(h2o_context_t) == 2016, "libh2o 2.2.5 for uv");
_Static_assert(sizeof(h2o_req_t) == 608 && sizeof(h2o_socket_t) == 96, "libh2o 2.2.5");
// Slices are handed to libh2o as they are.
_Static_assert(sizeof(struct slice) == sizeof(h2o_iovec_t) &&
                   offsetof(struct slice, ptr) == offsetof(h2o_iovec_t, base) &&
                   offsetof(struct slice, len) == offsetof(h2o_iovec_t, len),
               "a slice is an iovec");

struct server {
    struct server_options options;
    struct server_counters counters;
    uv_loop_t *loop;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_linklist_t listeners;    // struct listener
    h2o_linklist_t conns;        // struct conn
    h2o_linklist_t lingers;      // struct lingering
    h2o_linklist_t deferreds;    // struct deferred with a live call
    h2o_linklist_t ended_writes; // struct conn, by its write.link
    uv_idle_t later;             // runs while there are any
    uv_prepare_t turn;           // runs before the loop waits
    uv_timer_t accept_pause;     // runs while out of descriptors
    uv_timer_t drain_timer;
    uv_timer_t reap_timer;
    uint64_t reaped_ms;      // when it last ran
    unsigned answered;       // answers that are not out yet, of all connections
    unsigned answered_now;   // made since the loop last waited
    uint64_t press_again_ms; // see pressure.c
    uint64_t drain_started_ms;
    bool draining, cut, drained;
    void (*on_drained)(void *ctx);
    void *on_drained_ctx;
    char id_prefix[16];
    uint64_t id_next;
};

// Why the next request is not for the handler.
struct refusal {
    int status; // 0 = it is
    bool early; // its body may still come
};

// One thing that may take too long (reap.c).
struct watch {
    bool on;
    int kind; // what it is about, and which one:
    uint64_t since_ms;
    uint64_t mark_ms; // of the last progress
    uint64_t key;     // another kind or key, another clock
    uint64_t mark;    // bytes at mark_ms
};

// Does libh2o want to read? See intake.c.
enum reading { READING_NOT, READING, READING_NOTED };

enum goaway { GOAWAY_NOT, GOAWAY_SAID, GOAWAY_LAST };

// One accepted socket, from accept to the close of its handle.
struct conn {
    uv_tcp_t tcp; // first: libh2o's socket sits on it and closes it
    struct server *server;
    h2o_socket_t *sock; // NULL once libh2o has closed it
    SSL_CTX *tls;       // held until then; NULL = cleartext
    h2o_linklist_t link;
    h2o_linklist_t calls;    // struct call: requests that have not ended
    unsigned call_count;     // of them
    unsigned answered_count; // those whose answer is not out yet
    unsigned deferred_count; // struct deferred, also those whose client has gone
    uint64_t requests;       // that have begun
    uint64_t accepted_ms;    // of the loop's clock, as all here
    uint64_t idle_since_ms;  // while call_count is 0
    uint64_t let_go_ms;
    uv_alloc_cb alloc_cb; // libh2o's, as the next
    uv_read_cb read_cb;
    enum reading reading;
    uint64_t bytes_in; // of the socket
    struct watch receiving, sending;
    struct guard guard;
    struct refusal refuse;
    enum goaway goaway;
    uint32_t last_stream; // that will be answered, after GOAWAY_LAST
    struct {              // one that ended at once, to be told in a later turn
        h2o_linklist_t link;
        uv_write_t *req;
        uv_write_cb cb;
        int status;
    } write;
    bool http2;
    bool head_done; // of the request that is arriving (HTTP/1)
    bool let_go;    // libh2o's protocol half is done with it
    bool closed;    // and the handle is closed too
    bool doomed;    // nothing more of it is looked at
    bool peer_done; // its TLS half has said that nothing more will come
    bool half_closed;
    uint64_t half_closed_ms;
    int linger_fd; // a duplicate that outlives libh2o's close; -1 = none
    _Alignas(16) char memory[];
};

// One request, in its pool. It hangs on the request as a prefilter, which is how
// it is found again, and which keeps libh2o's filters away from our own replies.
struct call {
    h2o_req_prefilter_t prefilter; // first
    h2o_req_t *req;
    struct conn *conn;
    h2o_linklist_t link;
    struct deferred *deferred;
    void (*unpin)(void *pin);
    void *pin;
    uint64_t due_ms;   // its answer has been read by then
    uint64_t began_us; // boot time; 0 without time_calls
    int note;          // of the reply
    bool is_head, answered;
    bool refused;   // by libh2o, before any handler
    bool early;     // answered before its body was here (HTTP/2)
    bool abandoned; // answered by nobody: the server was cut
    char id[CALL_REQUEST_ID_LEN];
};

struct deferred {
    struct call *call; // NULL when the client has gone
    struct conn *conn; // its memory stays as long
    h2o_linklist_t link;
};

// call.c
struct call *call_begin(h2o_req_t *req);
struct call *call_find(const h2o_req_t *req); // NULL when no handler or filter saw it
void call_end(struct call *c);                // the request is being disposed of

// reply.c
// Puts status, headers and length of r into the request's response.
void reply_prepare(struct call *c, const struct reply *r);
bool reply_has_body(const struct call *c, int status);
// Which constant an answer's header is; NULL = none. One of an empty value names a
// header whose value is each answer's own.
const struct reply_constant *reply_constant_of(const h2o_header_t *header);

// hooks.c
void hooks_register(struct server *s, h2o_pathconf_t *path);

// intake.c
bool intake_is_in_place(void); // as guard_is_in_place
// The connection whose input is being parsed; bytes is the front of that input.
struct conn *intake_conn(const void *bytes);
struct conn *intake_reading(void);           // the same, inside a read callback
void intake_forget(const struct conn *conn); // its socket is gone

// outlet.c
bool outlet_is_there(void); // what libh2o writes by is what stands there
void outlet_forget(struct conn *conn);

// strict.c
bool strict_is_in_place(void);
bool strict_is_method(const char *method, size_t len);
// Is it a request target (RFC 9112, 3.2) that goes with that method?
bool strict_is_target(const char *method, size_t method_len, const char *target, size_t len);

// conn.c
void conn_start(struct server *s, int fd, struct tls *tls); // takes fd
struct conn *conn_at(h2o_linklist_t *link);                 // of server.conns
struct conn *conn_of_request(const h2o_req_t *req);
void conn_call_began(struct conn *conn, struct call *c);
void conn_call_ended(struct conn *conn, struct call *c);
// Nothing under way and nothing received that waits to be read.
bool conn_is_quiet(const struct conn *conn);
void conn_hold(struct conn *conn);    // for a deferred
void conn_release(struct conn *conn); // conn may be gone afterwards
void conn_shutdown(struct conn *conn, int how);
// Its end will wait until the client has stopped sending.
void conn_prepare_linger(struct conn *conn);

// tls.c
// What a new connection begins with; the caller frees it by SSL_CTX_free.
CM_MUST_CHECK SSL_CTX *tls_hold(struct tls *t);
void tls_offer_http2(struct tls *t); // beside http/1.1

// tls_guard.c
void tls_guard_watch(SSL_CTX *context);

// linger.c
void linger_start(struct server *s, int fd); // takes fd
void linger_end_all(struct server *s);

// drain.c
void drain_start(struct server *s);
void drain_conn_gone(struct server *s);

// reap.c
void reap_start(struct server *s);
// For how long an answer of so many bytes may be under way.
uint64_t reap_answer_ms(const struct server *s, size_t length);

// pressure.c
void pressure_turn_began(struct server *s);
// Is it to be read in the next turn only?
bool pressure_defers(const struct conn *conn);
void pressure_answer_began(struct conn *conn);
void pressure_answer_ended(struct conn *conn);

// server.c
void server_conn_gone(struct server *s); // a connection (or its lingering end) is over
