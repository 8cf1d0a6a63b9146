// SPDX-License-Identifier: Apache-2.0
// Signals in, children out.
//
//   serving -> lingering: SIGTERM or SIGINT. Not ready at once; everything else
//   goes on for CM_DRAIN_DELAY_MS, while load balancers look away.
//   -> workers leaving: our listening sockets are closed, so that the kernel
//   refuses once the last worker has closed its copies; workers are dismissed.
//   -> ops leaving: no worker is left; the ops child has shown 503 until now.
//   -> gone. All of it within CM_DRAIN_TIMEOUT_S; who is late is killed, also one
//   whose loop is stuck, and it counts as a drain all the same. A second SIGTERM
//   or SIGINT kills everybody at once; not the echo of the first: who signals the
//   process and then its group means it once.
//
// Children ignore all of that: they leave when we say so (heritage.h).
//
// SIGHUP reads the certificate and the log level anew, each by itself; both reach
// the children through shared memory, so they need no signal.
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
#include <sys/auxv.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/state_dir.h"
#include "common/http/bind.h"
#include "services/crew.h"
#include "services/roll.h"
#include "services/tls_keeper.h"

enum {
    TICK_MS = 500,
    BUSY_TICK_MS = 20,
    OPS_LEAVE_MS = 1000, // at the most; its share of the drain's time is
    OPS_SHARE = 10,      // a tenth, when that is less
    ECHO_MS = 300,       // the same signal so soon is the same one
    RESERVED_FDS = 64,   // of a worker: log, loop, Redis, the mapping, spare
    LISTEN_OPS_BACKLOG = 64
};

enum phase { SERVING, LINGERING, WORKERS_LEAVING, OPS_LEAVING, GONE };

struct supervisor {
    struct settings *settings;
    unsigned slots;
    struct shm *shm;
    int shm_fd, ops_listener;
    struct tls_vault *vault;
    struct tls_keeper keeper;
    // Of a worker: the vault, the listeners, those for TLS.
    int worker_fds[1 + 2 * SETTINGS_WORKERS_MAX];
    unsigned listeners; // among them
    struct crew *crew;
    struct roll roll;
    enum phase phase;
    uint64_t leave_ms;    // when the delay is over
    uint64_t deadline_ms; // when all must be gone
    int asked_by;         // the first signal, and when
    uint64_t asked_ms;
    int cut_by; // the second
};

static void fail(const char *what, const char *why)
{
    LOG_ERROR("start_failed", LOG_CSTR("what", what), LOG_CSTR("error", why));
}

// -- starting ---------------------------------------------------------------

static bool raise_nofile(const struct supervisor *s)
{
    // Each listening socket is held twice: as inherited, and as the server's own.
    uint64_t need = s->settings->max_connections + 2 * (uint64_t)s->listeners + RESERVED_FDS;
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

static int lift(const struct supervisor *s, int fd)
{
    return heritage_lift(fd, 2 + (size_t)s->listeners);
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

// The listeners of all slots, and after them those for TLS.
static int *listeners_of(struct supervisor *s)
{
    return s->worker_fds + 1;
}

static bool bind_group(struct supervisor *s, const char *name, const char *address, int *fds)
{
    int error = server_bind_group(address, fds, s->slots, BIND_BACKLOG);
    if (error != 0)
        return refuse_address(name, address, error);
    for (unsigned i = 0; i < s->slots; i++)
        fds[i] = lift(s, fds[i]);
    return true;
}

static bool bind_all(struct supervisor *s)
{
    const struct settings *set = s->settings;
    int *fds = listeners_of(s);
    if (!bind_group(s, "CM_LISTEN", set->listen, fds) ||
        (settings_has_tls(set) && !bind_group(s, "CM_TLS_LISTEN", set->tls_listen, fds + s->slots)))
        return false;
    s->ops_listener = server_bind(set->ops_listen, false, LISTEN_OPS_BACKLOG);
    if (s->ops_listener < 0)
        return refuse_address("CM_OPS_LISTEN", set->ops_listen, s->ops_listener);
    s->ops_listener = lift(s, s->ops_listener);
    return true;
}

// A descriptor or a negative errno. Two would write the same files. Held until we end,
// however that is; the workers' own locks only order a worker and its successor.
static int lock_state_dir(const char *path)
{
    struct state_dir dir;
    int error = state_dir_open(&dir, path);
    if (error != 0)
        return error;
    int lock = state_dir_lock(&dir, "lock-cm-models");
    state_dir_close(&dir);
    return lock;
}

// What is wrong with the option itself stays wrong until somebody mends it. NULL: it is
// the disk (full, read-only, broken), which costs the copy alone; the workers say so.
static const char *why_refuse(int error)
{
    switch (-error) {
    case EWOULDBLOCK:
        return "another cm-models has it; each needs a directory of its own";
    case EPERM:
        return "it must be ours, and no other user may write to it";
    case ENOTDIR:
    case ELOOP:
        return "it is no directory";
    case ENOENT:
    case EACCES:
    case ENAMETOOLONG:
        return strerror(-error);
    default:
        return NULL;
    }
}

static bool take_state_dir(const struct supervisor *s)
{
    const char *path = s->settings->state_dir;
    int lock = path[0] == '\0' ? 0 : lock_state_dir(path);
    const char *why = lock < 0 ? why_refuse(lock) : NULL;
    if (why == NULL)
        return true;
    char what[300];
    snprintf(what, sizeof(what), "CM_STATE_DIR %s", path);
    fail(what, why);
    return false;
}

static bool make_mappings(struct supervisor *s)
{
    s->shm = shm_create(s->slots, &s->shm_fd);
    s->vault = s->shm == NULL ? NULL : tls_vault_create(&s->worker_fds[0]);
    if (s->vault == NULL) {
        fail("shared memory", strerror(errno));
        return false;
    }
    s->shm_fd = lift(s, s->shm_fd);
    s->worker_fds[0] = lift(s, s->worker_fds[0]);
    return true;
}

static bool fill_vault(struct supervisor *s)
{
    char error[TLS_KEEPER_ERROR_MAX];
    if (!settings_has_tls(s->settings) ||
        tls_keeper_start(&s->keeper, s->settings, s->shm, s->vault, clock_boot_ms(), error))
        return true;
    fail("TLS", error);
    return false;
}

static bool make_crew(struct supervisor *s)
{
    int program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (program < 0) {
        fail("/proc/self/exe", strerror(errno));
        return false;
    }
    struct crew_options options = {.shm = s->shm,
                                   .shm_fd = s->shm_fd,
                                   .worker_fds = s->worker_fds,
                                   .worker_fd_count = 1 + (size_t)s->listeners,
                                   .ops_listener = s->ops_listener,
                                   .program = lift(s, program),
                                   .program_path = (const char *)getauxval(AT_EXECFN)};
    unsigned char instance[HERITAGE_INSTANCE_LEN / 2];
    util_random(instance, sizeof(instance));
    util_hex_encode(instance, sizeof(instance), options.instance);
    s->crew = crew_create(&options);
    return true;
}

static void log_start(const struct supervisor *s)
{
    char public_address[BIND_ADDRESS_MAX], ops_address[BIND_ADDRESS_MAX];
    char tls_address[BIND_ADDRESS_MAX] = "off";
    server_bound_address(s->worker_fds[1], public_address);
    server_bound_address(s->ops_listener, ops_address);
    if (settings_has_tls(s->settings))
        server_bound_address(s->worker_fds[1 + s->slots], tls_address);
    LOG_INFO("listening", LOG_CSTR("public", public_address), LOG_CSTR("tls", tls_address),
             LOG_CSTR("ops", ops_address), LOG_U64("workers", s->slots),
             LOG_CSTR("version", CM_VERSION));
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

// What the ops child gets of the time, after the workers.
static uint64_t ops_share_ms(const struct supervisor *s)
{
    uint64_t share = s->settings->drain_timeout_s * 1000 / OPS_SHARE;
    return share < OPS_LEAVE_MS ? share : OPS_LEAVE_MS;
}

static void dismiss_workers(struct supervisor *s)
{
    s->phase = WORKERS_LEAVING;
    for (unsigned i = 0; i < s->listeners; i++)
        close(listeners_of(s)[i]);
    crew_dismiss_workers(s->crew, s->deadline_ms - ops_share_ms(s));
}

static void dismiss_ops(struct supervisor *s, uint64_t now_ms)
{
    s->phase = OPS_LEAVING;
    crew_dismiss_ops(s->crew, now_ms + ops_share_ms(s));
}

static void advance(struct supervisor *s, uint64_t now_ms)
{
    if (s->phase == SERVING)
        roll_tick(&s->roll, s->crew, s->slots + 1, s->settings->drain_timeout_s * 1000, now_ms);
    if (s->phase == LINGERING && now_ms >= s->leave_ms)
        dismiss_workers(s);
    if (s->phase == WORKERS_LEAVING && crew_workers(s->crew) == 0)
        dismiss_ops(s, now_ms);
    if (s->phase == OPS_LEAVING && crew_size(s->crew) == 0)
        s->phase = GONE;
}

// -- signals ----------------------------------------------------------------

static void reload_log_level(struct supervisor *s)
{
    struct buf errors = {0};
    if (settings_reload_log_level(s->settings, environ, &errors)) {
        log_change_level((enum log_level)s->settings->log_level);
        shm_set_log_level(s->shm, log_level());
    } else {
        LOG_ERROR("log_level_kept", LOG_STR("error", slice_trim(buf_slice(&errors))),
                  LOG_CSTR("level", log_level_name(log_level())));
    }
    buf_fini(&errors);
}

static void reload(struct supervisor *s)
{
    reload_log_level(s);
    if (settings_has_tls(s->settings))
        tls_keeper_reload(&s->keeper);
}

static void on_end_signal(struct supervisor *s, int signal, uint64_t now_ms)
{
    if (s->phase == SERVING) {
        s->asked_by = signal;
        s->asked_ms = now_ms;
        begin_drain(s, now_ms);
        return;
    }
    if (signal == s->asked_by && now_ms < s->asked_ms + ECHO_MS)
        return;
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
        reload(s);
        break;
    case SIGUSR2:
        if (s->phase == SERVING)
            roll_request(&s->roll, s->crew);
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
            if (settings_has_tls(s->settings))
                tls_keeper_tick(&s->keeper, now_ms);
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

int supervisor_run(struct settings *settings)
{
    struct supervisor s = {.settings = settings, .slots = (unsigned)settings->workers};
    sigset_t set;
    s.listeners = s.slots * (settings_has_tls(settings) ? 2 : 1);
    block_signals(&set);
    if (!raise_nofile(&s) || !bind_all(&s) || !take_state_dir(&s) || !make_mappings(&s) ||
        !fill_vault(&s) || !make_crew(&s))
        return EXIT_FAILURE;
    log_start(&s);
    supervise(&s, &set);
    crew_destroy(s.crew);
    tls_vault_detach(s.vault);
    shm_detach(s.shm);
    LOG_INFO("ended", LOG_BOOL("cut", s.cut_by != 0));
    return s.cut_by != 0 ? 128 + s.cut_by : EXIT_SUCCESS;
}
