// SPDX-License-Identifier: Apache-2.0
// Fork, arrange, exec. The supervisor has one thread and keeps its descriptors
// above the numbers that children get theirs at (heritage_lift), so moving them
// there never overwrites one that is still to be moved.
#include "services/heritage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/slice.h"
#include "services/settings.h"
#include "services/shm.h"
#include "services/tls_vault.h"

// To be raised with every change of the words, descriptors or signals below.
enum { HERITAGE_FORMAT = 3, WORDS = 5 };

static const char *const role_words[] = {"--worker", "--ops"};

void heritage_id(const struct heritage *h, uint64_t incarnation, char out[HERITAGE_ID_MAX + 1])
{
    out[0] = '\0';
    if (incarnation > 0)
        snprintf(out, HERITAGE_ID_MAX + 1, "%s-%u-%" PRIu64, h->instance, h->slot, incarnation);
}

static void reset_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < CM_ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void heritage_layout(char out[HERITAGE_LAYOUT_MAX])
{
    char mapping[SHM_LAYOUT_MAX];
    shm_layout(mapping);
    snprintf(out, HERITAGE_LAYOUT_MAX, "%d-%s-%zu", (int)HERITAGE_FORMAT, mapping,
             tls_vault_size());
}

// A child reads the settings again; the file of this one may be wrong by now.
static void settle_log_level(void)
{
    unsetenv("CM_LOG_LEVEL_FILE");
    setenv("CM_LOG_LEVEL", log_level_name(log_level()), 1);
}

// A worker takes and gives back the same few sizes for each request, some of them for
// many streams at once; libc keeps seven of a size at hand and looks for the rest. What
// the operator has set stays.
static void settle_allocator(void)
{
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=64", 0);
}

// In the child. Returns only when it could not become what it should.
static void become(int program, char *const *argv, const int *fds, size_t fd_count, pid_t parent)
{
    reset_signals();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return;
    for (size_t i = 0; i < fd_count; i++)
        if (dup2(fds[i], HERITAGE_FD_MAPPING + (int)i) < 0)
            return;
    // Not closed yet: the program's own is among them.
    close_range(HERITAGE_FD_MAPPING + (unsigned)fd_count, ~0U, CLOSE_RANGE_CLOEXEC);
    settle_log_level();
    settle_allocator();
    fexecve(program, argv, environ);
    log_init("cm-models", "child"); // its descriptor may be one of the child's by now
    LOG_ERROR("exec_failed", LOG_CSTR("error", strerror(errno)));
}

int heritage_lift(int fd, size_t fd_count)
{
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, HERITAGE_FD_MAPPING + (int)fd_count);
    CM_ASSERT(lifted >= 0);
    close(fd);
    return lifted;
}

pid_t heritage_spawn(const struct heritage *h, int program, const int *fds, size_t fd_count)
{
    char layout[HERITAGE_LAYOUT_MAX], id[HERITAGE_ID_MAX + 1], previous[HERITAGE_ID_MAX + 1],
        block[16];
    heritage_layout(layout);
    heritage_id(h, h->incarnation, id);
    heritage_id(h, h->previous, previous);
    snprintf(block, sizeof(block), "%u", h->block);
    char *argv[] = {(char[]){"cm-models"},
                    (char *)(uintptr_t)role_words[h->role],
                    layout,
                    id,
                    previous[0] == '\0' ? (char[]){"-"} : previous,
                    block,
                    NULL};
    CM_ASSERT(program >= HERITAGE_FD_MAPPING + (int)fd_count);
    for (size_t i = 0; i < fd_count; i++)
        CM_ASSERT(fds[i] >= HERITAGE_FD_MAPPING + (int)fd_count);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(program, argv, fds, fd_count, parent);
        _exit(127);
    }
    return pid;
}

static bool parse_id(struct slice text, struct heritage *out, uint64_t *incarnation)
{
    uint64_t slot;
    struct slice instance = slice_take(&text, '-');
    struct slice slot_text = slice_take(&text, '-');
    if (instance.len != HERITAGE_INSTANCE_LEN ||
        !slice_parse_u64(slot_text, SETTINGS_WORKERS_MAX, &slot) ||
        !slice_parse_u64(text, UINT64_MAX, incarnation))
        return false;
    memcpy(out->instance, instance.ptr, instance.len);
    out->instance[instance.len] = '\0';
    out->slot = (unsigned)slot;
    return true;
}

static bool parse_words(char *const *argv, struct heritage *out)
{
    uint64_t block;
    if (strcmp(argv[3], "-") != 0 && !parse_id(slice_of(argv[3]), out, &out->previous))
        return false;
    if (!parse_id(slice_of(argv[2]), out, &out->incarnation) ||
        !slice_parse_u64(slice_of(argv[4]), 1, &block))
        return false;
    out->block = (unsigned)block;
    return true;
}

enum heritage_fit heritage_parse(int argc, char *const *argv, struct heritage *out)
{
    char layout[HERITAGE_LAYOUT_MAX];
    struct heritage h = {.previous = 0};
    if (argc < 1)
        return HERITAGE_NONE;
    h.role = strcmp(argv[0], role_words[HERITAGE_OPS]) == 0 ? HERITAGE_OPS : HERITAGE_WORKER;
    if (strcmp(argv[0], role_words[h.role]) != 0)
        return HERITAGE_NONE;
    heritage_layout(layout);
    if (argc != WORDS || strcmp(argv[1], layout) != 0)
        return HERITAGE_OTHER;
    if (!parse_words(argv, &h))
        return HERITAGE_NONE;
    *out = h;
    return HERITAGE_FITS;
}
