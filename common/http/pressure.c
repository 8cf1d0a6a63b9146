// SPDX-License-Identifier: Apache-2.0
// Answers that nobody takes, over all connections.
//
// A request of a few bytes becomes an answer that holds some 8 KiB until its client
// has taken it, and HTTP/2 lets each connection have a hundred. The reaper ends
// such connections, but patiently, because slow readers are no enemies; until then
// a thousand connections that send 3 KB each could hold a gigabyte. So the answers
// that wait are counted over the whole server.
//
// An answer leaves in the turn of the loop after the one that made it. Before the loop
// waits again, all that wait are such as their clients could have had: beyond a bound
// the connections that hold most of them go then. Clients with a few never notice.
// What is made within a turn says nothing of anybody: after the loop stood still for a
// moment a crowd of honest clients is there at once. Above the bound it is read in
// portions, a turn each, and waits in the kernel meanwhile.
#include "common/http/http_private.h"

enum {
    ANSWERS_MAX = 4000, // some 32 MiB
    ANSWERS_FEW = 4,    // of one connection; HTTP/1 never has more than one
    PORTION = 1000,     // answers that are made in a turn all the same
    REST_MS = 100       // between two looks when the first has found nobody greedy
};

static void end(struct conn *conn)
{
    conn->doomed = true;
    conn->server->counters.reaped++;
    conn_shutdown(conn, SHUT_RDWR);
}

static unsigned most_answers(const struct server *s)
{
    unsigned most = 0;
    for (h2o_linklist_t *at = s->conns.next; at != &s->conns; at = at->next)
        if (!conn_at(at)->doomed && conn_at(at)->answered_count > most)
            most = conn_at(at)->answered_count;
    return most;
}

// What was ended holds on until the loop comes to it.
static void end_greediest(struct server *s)
{
    uint64_t now = uv_now(s->loop);
    if (now < s->press_again_ms)
        return;
    unsigned most = most_answers(s);
    s->press_again_ms = now + (most > ANSWERS_FEW ? 1 : REST_MS);
    for (h2o_linklist_t *at = s->conns.next; most > ANSWERS_FEW && at != &s->conns; at = at->next)
        if (!conn_at(at)->doomed && conn_at(at)->answered_count > most / 2)
            end(conn_at(at));
}

void pressure_turn_began(struct server *s)
{
    s->answered_now = 0;
    if (s->answered > ANSWERS_MAX)
        end_greediest(s);
}

// One that was ended is read, so that libh2o sees its end.
bool pressure_defers(const struct conn *conn)
{
    const struct server *s = conn->server;
    return s->answered >= ANSWERS_MAX && s->answered_now >= PORTION && !conn->doomed;
}

void pressure_answer_began(struct conn *conn)
{
    conn->answered_count++;
    conn->server->answered++;
    conn->server->answered_now++;
}

void pressure_answer_ended(struct conn *conn)
{
    conn->answered_count--;
    conn->server->answered--;
}
