// SPDX-License-Identifier: Apache-2.0
// Signals in, children out.
//
//   serving -> lingering: SIGTERM or SIGINT. Not ready at once; everything else
//   goes on for CM_DRAIN_DELAY_MS, while load balancers look away.
//   -> workers leaving: our listening sockets are closed, so that the kernel
//   refuses once the last worker has closed its copies; workers get SIGTERM.
//   -> ops leaving: no worker is left; the ops child has shown 503 until now.
//   -> gone. All of it within CM_DRAIN_TIMEOUT_S; who is late is killed. A
//   second SIGTERM or SIGINT kills everybody at once.
//
// All signals of interest are blocked and taken by sigtimedwait, so nothing ever
// runs in a handler; a tick comes with each of them and every half second.
#include "services/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/http/bind.h"
#include "services/crew.h"
#include "services/roll.h"

enum {
    TICK_MS = 500,
    BUSY_TICK_MS = 20,
    OPS_LEAVE_MS = 1000,
    RESERVED_FDS = 64, // of a worker: log, loop, Redis, the mapping, spare
    LISTEN_OPS_BACKLOG = 64
};

enum phase { SERVING, LINGERING, WORKERS_LEAVING, OPS_LEAVING, GONE };

struct supervisor {
    const struct settings *settings;
    unsigned slots;
    struct shm *shm;
    int shm_fd, ops_listener;
    int listeners[SETTINGS_WORKERS_MAX];
    struct crew *crew;
    struct roll roll;
    enum phase phase;
    uint64_t leave_ms;    // when the delay is over
    uint64_t deadline_ms; // when all must be gone
    int cut_by;           // the second signal
};

static void fail(const char *what, const char *why)
{
    LOG_ERROR("start_failed", LOG_CSTR("what", what), LOG_CSTR("error", why));
}

// -- starting ---------------------------------------------------------------

static bool raise_nofile(const struct supervisor *s)
{
    // Each listening socket is held twice: as inherited, and as the server's own.
    uint64_t need = s->settings->max_connections + 2 * (uint64_t)s->slots + RESERVED_FDS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = before;
    if (limit.rlim_cur >= need)
        return true;
    char why[200];
    snprintf(why, sizeof(why),
             "%" PRIu64 " open files are needed, the hard limit (RLIMIT_NOFILE, ulimit -Hn) is "
             "%" PRIu64 ": raise it or lower CM_MAX_CONNECTIONS",
             need, (uint64_t)limit.rlim_cur);
    fail("CM_MAX_CONNECTIONS", why);
    return false;
}

// Moves a descriptor above all numbers that children get theirs at.
static int lift(int fd, unsigned slots)
{
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, HERITAGE_FD_MAPPING + (int)slots + 1);
    CM_ASSERT(lifted >= 0);
    close(fd);
    return lifted;
}

static bool refuse_address(const char *name, const char *address, int error)
{
    char what[300], why[200];
    snprintf(what, sizeof(what), "%s %s", name, address);
    snprintf(why, sizeof(why), "%s%s", strerror(-error),
             error == -EADDRINUSE ? "; is another cm-models running?" : "");
    fail(what, why);
    return false;
}

static bool bind_all(struct supervisor *s)
{
    const struct settings *set = s->settings;
    int error = server_bind_group(set->listen, s->listeners, s->slots, BIND_BACKLOG);
    if (error != 0)
        return refuse_address("CM_LISTEN", set->listen, error);
    s->ops_listener = server_bind(set->ops_listen, false, LISTEN_OPS_BACKLOG);
    if (s->ops_listener < 0)
        return refuse_address("CM_OPS_LISTEN", set->ops_listen, s->ops_listener);
    for (unsigned i = 0; i < s->slots; i++)
        s->listeners[i] = lift(s->listeners[i], s->slots);
    s->ops_listener = lift(s->ops_listener, s->slots);
    return true;
}

static bool make_mapping(struct supervisor *s)
{
    s->shm = shm_create(s->slots, &s->shm_fd);
    if (s->shm == NULL) {
        fail("shared memory", strerror(errno));
        return false;
    }
    s->shm_fd = lift(s->shm_fd, s->slots);
    return true;
}

static void make_crew(struct supervisor *s)
{
    struct crew_options options = {.shm = s->shm,
                                   .shm_fd = s->shm_fd,
                                   .listeners = s->listeners,
                                   .ops_listener = s->ops_listener};
    unsigned char instance[HERITAGE_INSTANCE_LEN / 2];
    util_random(instance, sizeof(instance));
    util_hex_encode(instance, sizeof(instance), options.instance);
    s->crew = crew_create(&options);
}

static void log_start(const struct supervisor *s)
{
    char public_address[BIND_ADDRESS_MAX], ops_address[BIND_ADDRESS_MAX];
    server_bound_address(s->listeners[0], public_address);
    server_bound_address(s->ops_listener, ops_address);
    LOG_INFO("listening", LOG_CSTR("public", public_address), LOG_CSTR("ops", ops_address),
             LOG_U64("workers", s->slots), LOG_CSTR("version", CM_VERSION));
}

// -- leaving ----------------------------------------------------------------

static void begin_drain(struct supervisor *s, uint64_t now_ms)
{
    s->phase = LINGERING;
    s->leave_ms = now_ms + s->settings->drain_delay_ms;
    s->deadline_ms = now_ms + s->settings->drain_timeout_s * 1000;
    shm_set_draining(s->shm);
    LOG_INFO("draining", LOG_U64("delay_ms", s->settings->drain_delay_ms),
             LOG_U64("timeout_s", s->settings->drain_timeout_s));
}

static void dismiss_workers(struct supervisor *s)
{
    s->phase = WORKERS_LEAVING;
    for (unsigned i = 0; i < s->slots; i++)
        close(s->listeners[i]);
    crew_dismiss_workers(s->crew, s->deadline_ms);
}

static void dismiss_ops(struct supervisor *s, uint64_t now_ms)
{
    s->phase = OPS_LEAVING;
    crew_dismiss_ops(s->crew, now_ms + OPS_LEAVE_MS);
}

static void advance(struct supervisor *s, uint64_t now_ms)
{
    if (s->phase == SERVING)
        roll_tick(&s->roll, s->crew, s->slots, s->settings->drain_timeout_s * 1000, now_ms);
    if (s->phase == LINGERING && now_ms >= s->leave_ms)
        dismiss_workers(s);
    if (s->phase == WORKERS_LEAVING && crew_workers(s->crew) == 0)
        dismiss_ops(s, now_ms);
    if (s->phase == OPS_LEAVING && crew_size(s->crew) == 0)
        s->phase = GONE;
}

// -- signals ----------------------------------------------------------------

static void on_end_signal(struct supervisor *s, int signal, uint64_t now_ms)
{
    if (s->phase == SERVING) {
        begin_drain(s, now_ms);
        return;
    }
    LOG_WARN("drain_cut", LOG_I64("signal", signal));
    s->cut_by = signal;
    crew_kill_all(s->crew);
    if (s->phase < OPS_LEAVING)
        s->phase = OPS_LEAVING;
}

static void on_signal(struct supervisor *s, int signal, uint64_t now_ms)
{
    switch (signal) {
    case SIGTERM:
    case SIGINT:
        on_end_signal(s, signal, now_ms);
        break;
    case SIGHUP:
        crew_signal(s->crew, SIGHUP);
        break;
    case SIGUSR2:
        if (s->phase == SERVING)
            roll_request(&s->roll);
        break;
    default: // SIGCHLD, or none: the tick looks
        break;
    }
}

static bool is_busy(const struct supervisor *s)
{
    return s->phase != SERVING || s->roll.step != ROLL_IDLE || !crew_is_settled(s->crew);
}

// The next signal, or 0 after a tick's time.
static int wait_signal(const struct supervisor *s, const sigset_t *set)
{
    long ms = is_busy(s) ? BUSY_TICK_MS : TICK_MS;
    struct timespec time = {.tv_nsec = ms * 1000000};
    int signal = sigtimedwait(set, NULL, &time);
    return signal > 0 ? signal : 0;
}

static void supervise(struct supervisor *s, const sigset_t *set)
{
    while (s->phase != GONE) {
        uint64_t now_ms = clock_boot_ms();
        crew_reap(s->crew, now_ms);
        advance(s, now_ms);
        if (s->phase != GONE) {
            crew_tick(s->crew, now_ms);
            int signal = wait_signal(s, set);
            on_signal(s, signal, clock_boot_ms());
        }
    }
}

static void block_signals(sigset_t *set)
{
    static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};
    sigemptyset(set);
    for (size_t i = 0; i < CM_ARRAY_LEN(taken); i++)
        sigaddset(set, taken[i]);
    sigprocmask(SIG_BLOCK, set, NULL);
    // A SIGCHLD that was ignored when we started would not even be queued.
    signal(SIGCHLD, SIG_DFL);
}

int supervisor_run(const struct settings *settings)
{
    struct supervisor s = {.settings = settings, .slots = (unsigned)settings->workers};
    sigset_t set;
    block_signals(&set);
    if (!raise_nofile(&s) || !bind_all(&s) || !make_mapping(&s))
        return EXIT_FAILURE;
    make_crew(&s);
    log_start(&s);
    supervise(&s, &set);
    crew_destroy(s.crew);
    shm_detach(s.shm);
    LOG_INFO("ended", LOG_BOOL("cut", s.cut_by != 0));
    return s.cut_by != 0 ? 128 + s.cut_by : EXIT_SUCCESS;
}
