// SPDX-License-Identifier: Apache-2.0
// Slots and the processes in them.
//
// A slot holds at most two members, one per block: normally one; two while a
// roll replaces it. The life of a member: started (no sign of life yet) ->
// alive (its heartbeat moves) -> dismissed (HERITAGE_DISMISS, with a deadline) or killed
// -> reaped, which folds its counters and empties the block.
//
// A member that ends unasked is replaced: at once when it had lived for a while or
// is the first to die young, after a growing delay when they keep dying young;
// neighbours cover the slot meanwhile. Silence is counted in ticks of ours that saw no new
// heartbeat, each worth at most a second, so that a machine that was suspended, or a supervisor
// that was stopped, does not kill everybody when it goes on. And who is ready to run is
// only charged for the processor time that it was given: on a machine that has far too
// much to do, killing those who wait in line would give it still more.
#include "services/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "services/process_stats.h"
#include "services/settings.h"

enum {
    START_MS = 30000, // for the first turn
    STEADY_MS = 2000, // who lived so long did not die young
    DELAY_FIRST_MS = 100,
    DELAY_MAX_MS = 5000,
    TICK_WORTH_MS = 1000
};

struct member {
    pid_t pid; // 0 = nobody
    uint64_t incarnation;
    uint64_t started_ms;
    uint64_t beat;     // last heartbeat seen
    uint64_t quiet_ms; // since it moved, in our ticks
    uint64_t cpu_ms;   // that it had used at the last tick without a new one
    uint64_t deadline_ms;
    bool dismissed, killed;
};

struct slot {
    struct member members[SHM_BLOCKS_PER_SLOT]; // by block index
    uint64_t incarnation;                       // of the latest start
    uint64_t ended;                             // the highest one that has ended
    uint64_t due_ms;                            // when an empty slot is filled
    unsigned young_deaths;                      // in a row
};

struct crew {
    struct crew_options options;
    unsigned workers; // slots of workers; slots[workers] is the ops child's
    bool leaving;     // nobody is started any more
    uint64_t last_tick_ms;
    struct slot slots[SETTINGS_WORKERS_MAX + 1];
    int *worker_fds; // the mapping first
    int program;     // that everybody is made of
    int candidate;   // that renewals are made of while it is tried; -1 = none
};

struct crew *crew_create(const struct crew_options *options)
{
    struct crew *c = xcalloc(1, sizeof(*c));
    c->options = *options;
    c->workers = shm_slots(options->shm);
    c->worker_fds = xcalloc(options->worker_fd_count + 1, sizeof(int));
    c->worker_fds[0] = options->shm_fd;
    memcpy(c->worker_fds + 1, options->worker_fds, options->worker_fd_count * sizeof(int));
    c->program = options->program;
    c->candidate = -1;
    return c;
}

void crew_destroy(struct crew *c)
{
    CM_ASSERT(crew_size(c) == 0);
    crew_drop_program(c);
    close(c->program);
    free(c->worker_fds);
    free(c);
}

enum { NOBODY = SHM_BLOCKS_PER_SLOT };

// Index of the newest or oldest member of a slot, or NOBODY.
static unsigned find_member(const struct slot *s, bool newest)
{
    unsigned found = NOBODY;
    for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++)
        if (s->members[i].pid != 0 &&
            (found == NOBODY ||
             (s->members[i].incarnation > s->members[found].incarnation) == newest))
            found = i;
    return found;
}

static unsigned count_members(const struct slot *s)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++)
        count += s->members[i].pid != 0;
    return count;
}

static size_t count_range(const struct crew *c, unsigned slots)
{
    size_t count = 0;
    for (unsigned i = 0; i < slots; i++)
        count += count_members(&c->slots[i]);
    return count;
}

size_t crew_workers(const struct crew *c)
{
    return count_range(c, c->workers);
}

size_t crew_size(const struct crew *c)
{
    return count_range(c, c->workers + 1);
}

// -- starting ---------------------------------------------------------------

static uint64_t restart_delay(unsigned young_deaths)
{
    if (young_deaths <= 1)
        return 0;
    unsigned doublings = young_deaths - 2 < 8 ? young_deaths - 2 : 8;
    uint64_t delay = (uint64_t)DELAY_FIRST_MS << doublings;
    return delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS;
}

static pid_t spawn(struct crew *c, const struct heritage *h, int program)
{
    if (h->role == HERITAGE_WORKER)
        return heritage_spawn(h, program, c->worker_fds, c->options.worker_fd_count + 1);
    int fds[2] = {c->options.shm_fd, c->options.ops_listener};
    return heritage_spawn(h, program, fds, 2);
}

static bool start(struct crew *c, unsigned slot, int program, uint64_t now_ms)
{
    struct slot *s = &c->slots[slot];
    unsigned index = s->members[0].pid == 0 ? 0 : 1;
    struct member *m = &s->members[index];
    CM_ASSERT(m->pid == 0);
    struct heritage h = {.role = slot < c->workers ? HERITAGE_WORKER : HERITAGE_OPS,
                         .slot = slot,
                         .incarnation = s->incarnation + 1,
                         .previous = s->ended,
                         .block = index};
    memcpy(h.instance, c->options.instance, sizeof(h.instance));
    struct shm_block *block = shm_block(c->options.shm, slot, index);
    shm_block_claim(block, h.incarnation, h.previous);
    pid_t pid = spawn(c, &h, program);
    if (pid < 0) {
        LOG_ERROR("spawn_failed", LOG_U64("slot", slot), LOG_CSTR("error", strerror(errno)));
        shm_block_fold(c->options.shm, block, false);
        s->due_ms = now_ms + restart_delay(++s->young_deaths);
        return false;
    }
    block->pid = pid;
    s->incarnation = h.incarnation;
    *m = (struct member){.pid = pid, .incarnation = h.incarnation, .started_ms = now_ms};
    LOG_INFO("child_started", LOG_CSTR("role", slot < c->workers ? "worker" : "ops"),
             LOG_U64("slot", slot), LOG_U64("incarnation", h.incarnation), LOG_I64("pid", pid));
    return true;
}

// -- watching ---------------------------------------------------------------

static void kill_member(struct member *m, unsigned slot, const char *why)
{
    m->killed = true;
    LOG_ERROR("child_killed", LOG_U64("slot", slot), LOG_I64("pid", m->pid), LOG_CSTR("why", why));
    kill(m->pid, SIGKILL);
}

// What a tick that saw no heartbeat says about a member: nothing, if it could not run in it.
static uint64_t silence(struct member *m, uint64_t worth_ms)
{
    struct process_look now;
    if (!process_look(m->pid, &now))
        return worth_ms;
    uint64_t used = now.cpu_ms - m->cpu_ms;
    m->cpu_ms = now.cpu_ms;
    return now.runnable && used < worth_ms ? used : worth_ms;
}

static void watch(struct member *m, const struct shm_block *b, unsigned slot, uint64_t now_ms,
                  uint64_t worth_ms)
{
    uint64_t beat = b->heartbeat_ms;
    m->quiet_ms = beat != m->beat ? 0 : m->quiet_ms + silence(m, worth_ms);
    m->beat = beat;
    if (m->killed)
        return;
    if (m->dismissed && now_ms >= m->deadline_ms)
        kill_member(m, slot, "did not leave in time");
    else if (m->quiet_ms >= (beat == 0 ? START_MS : SHM_SILENT_MS))
        kill_member(m, slot, "silent");
}

void crew_tick(struct crew *c, uint64_t now_ms)
{
    uint64_t worth = c->last_tick_ms == 0 ? 0 : now_ms - c->last_tick_ms;
    if (worth > TICK_WORTH_MS)
        worth = TICK_WORTH_MS;
    c->last_tick_ms = now_ms;
    for (unsigned slot = 0; slot <= c->workers; slot++) {
        struct slot *s = &c->slots[slot];
        for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++)
            if (s->members[i].pid != 0)
                watch(&s->members[i], shm_block(c->options.shm, slot, i), slot, now_ms, worth);
        if (count_members(s) == 0 && !c->leaving && now_ms >= s->due_ms)
            (void)start(c, slot, c->program, now_ms);
    }
}

// -- the end of a member ----------------------------------------------------

static void log_end(const struct member *m, unsigned slot, int status, uint64_t lived_ms)
{
    bool signaled = WIFSIGNALED(status);
    enum log_level level = m->dismissed || status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR;
    LOG_AT(
        level, "child_ended", LOG_U64("slot", slot), LOG_U64("incarnation", m->incarnation),
        LOG_I64("pid", m->pid), LOG_BOOL("asked", m->dismissed),
        LOG_I64(signaled ? "signal" : "status", signaled ? WTERMSIG(status) : WEXITSTATUS(status)),
        LOG_U64("lived_ms", lived_ms));
}

static void bury(struct crew *c, unsigned slot, unsigned index, int status, uint64_t now_ms)
{
    struct slot *s = &c->slots[slot];
    struct member *m = &s->members[index];
    uint64_t lived = now_ms - m->started_ms;
    bool unexpected = !m->dismissed;
    log_end(m, slot, status, lived);
    shm_block_fold(c->options.shm, shm_block(c->options.shm, slot, index), unexpected);
    m->pid = 0;
    if (m->incarnation > s->ended)
        s->ended = m->incarnation;
    // Whoever is still in the slot says so to the admins.
    for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++)
        if (s->members[i].pid != 0)
            shm_block(c->options.shm, slot, i)->replaces = s->ended;
    if (!unexpected || count_members(s) > 0)
        return;
    // Who was told to leave by somebody else ends with 0: no reason to wait.
    s->young_deaths = lived >= STEADY_MS || status == 0 ? 0 : s->young_deaths + 1;
    s->due_ms = now_ms + restart_delay(s->young_deaths);
}

static bool find_pid(const struct crew *c, pid_t pid, unsigned *slot, unsigned *index)
{
    for (*slot = 0; *slot <= c->workers; ++*slot)
        for (*index = 0; *index < SHM_BLOCKS_PER_SLOT; ++*index)
            if (c->slots[*slot].members[*index].pid == pid)
                return true;
    return false;
}

void crew_reap(struct crew *c, uint64_t now_ms)
{
    for (;;) {
        int status;
        unsigned slot, index;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return;
        // Others are orphans that process 1 inherits: waited for, and forgotten.
        if (find_pid(c, pid, &slot, &index))
            bury(c, slot, index, status, now_ms);
    }
}

bool crew_is_settled(const struct crew *c)
{
    for (unsigned slot = 0; slot <= c->workers; slot++)
        if (count_members(&c->slots[slot]) != 1 ||
            c->slots[slot].members[find_member(&c->slots[slot], true)].dismissed)
            return false;
    return true;
}

// -- asking and telling -----------------------------------------------------

static void dismiss(struct crew *c, unsigned slot, unsigned index, uint64_t deadline_ms)
{
    struct member *m = &c->slots[slot].members[index];
    if (m->dismissed)
        return;
    m->dismissed = true;
    m->deadline_ms = deadline_ms;
    shm_block(c->options.shm, slot, index)->deadline_ms = deadline_ms;
    kill(m->pid, HERITAGE_DISMISS);
}

static void dismiss_slot(struct crew *c, unsigned slot, uint64_t deadline_ms)
{
    c->leaving = true;
    for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++)
        if (c->slots[slot].members[i].pid != 0)
            dismiss(c, slot, i, deadline_ms);
}

void crew_dismiss_workers(struct crew *c, uint64_t deadline_ms)
{
    for (unsigned slot = 0; slot < c->workers; slot++)
        dismiss_slot(c, slot, deadline_ms);
}

void crew_dismiss_ops(struct crew *c, uint64_t deadline_ms)
{
    dismiss_slot(c, c->workers, deadline_ms);
}

void crew_kill_all(struct crew *c)
{
    c->leaving = true;
    for (unsigned slot = 0; slot <= c->workers; slot++)
        for (unsigned i = 0; i < SHM_BLOCKS_PER_SLOT; i++)
            if (c->slots[slot].members[i].pid != 0)
                kill(c->slots[slot].members[i].pid, SIGKILL);
}

// -- rolling ----------------------------------------------------------------

bool crew_look_for_program(struct crew *c)
{
    crew_drop_program(c);
    int fd = open(c->options.program_path, O_PATH | O_CLOEXEC);
    if (fd >= 0)
        c->candidate = heritage_lift(fd, c->options.worker_fd_count + 1);
    return fd >= 0;
}

void crew_keep_program(struct crew *c)
{
    if (c->candidate < 0)
        return;
    close(c->program);
    c->program = c->candidate;
    c->candidate = -1;
}

void crew_drop_program(struct crew *c)
{
    if (c->candidate >= 0)
        close(c->candidate);
    c->candidate = -1;
}

bool crew_renew(struct crew *c, unsigned slot, uint64_t now_ms)
{
    CM_ASSERT(slot <= c->workers);
    int program = c->candidate >= 0 ? c->candidate : c->program;
    return !c->leaving && count_members(&c->slots[slot]) == 1 && start(c, slot, program, now_ms);
}

enum crew_renewal crew_renewal_state(const struct crew *c, unsigned slot)
{
    const struct slot *s = &c->slots[slot];
    unsigned newer = find_member(s, true), older = find_member(s, false);
    if (newer == NOBODY || s->members[newer].incarnation != s->incarnation ||
        s->members[newer].killed)
        return CREW_RENEWAL_FAILED;
    const struct shm_block *b = shm_block(c->options.shm, slot, newer);
    // While Redis is away a new one has no catalog; then the old one must stay.
    // Where the old one has none either, nothing is lost by the change.
    bool had_catalog = newer == older || shm_block(c->options.shm, slot, older)->ready;
    return b->accepting && (b->ready || !had_catalog) ? CREW_RENEWAL_ABLE : CREW_RENEWAL_STARTING;
}

void crew_dismiss_one(struct crew *c, unsigned slot, bool newer, uint64_t deadline_ms)
{
    if (!crew_is_single(c, slot))
        dismiss(c, slot, find_member(&c->slots[slot], newer), deadline_ms);
}

bool crew_is_single(const struct crew *c, unsigned slot)
{
    return count_members(&c->slots[slot]) <= 1;
}
