// SPDX-License-Identifier: Apache-2.0
// Fork, arrange, exec. The supervisor has one thread and keeps its descriptors
// above CHILD_FDS_MAX (see supervisor.c), so moving them to their fixed numbers
// never overwrites one that is still to be moved.
#include "services/heritage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/slice.h"
#include "services/settings.h"

static const char *const role_words[] = {"--worker", "--ops"};

void heritage_id(const struct heritage *h, uint64_t incarnation, char out[HERITAGE_ID_MAX + 1])
{
    out[0] = '\0';
    if (incarnation > 0)
        snprintf(out, HERITAGE_ID_MAX + 1, "%s-%u-%" PRIu64, h->instance, h->slot, incarnation);
}

static void reset_signals(void)
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGUSR2, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < CM_ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// In the child. Returns only when it could not become what it should.
static void become(char *const *argv, const int *fds, size_t fd_count, pid_t parent)
{
    reset_signals();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return;
    for (size_t i = 0; i < fd_count; i++)
        if (dup2(fds[i], HERITAGE_FD_MAPPING + (int)i) < 0)
            return;
    close_range(HERITAGE_FD_MAPPING + (unsigned)fd_count, ~0U, 0);
    execv("/proc/self/exe", argv);
}

pid_t heritage_spawn(const struct heritage *h, const int *fds, size_t fd_count)
{
    char id[HERITAGE_ID_MAX + 1], previous[HERITAGE_ID_MAX + 1], block[16];
    heritage_id(h, h->incarnation, id);
    heritage_id(h, h->previous, previous);
    snprintf(block, sizeof(block), "%u", h->block);
    char *argv[] = {(char[]){"cm-models"},
                    (char *)(uintptr_t)role_words[h->role],
                    id,
                    previous[0] == '\0' ? (char[]){"-"} : previous,
                    block,
                    NULL};
    for (size_t i = 0; i < fd_count; i++)
        CM_ASSERT(fds[i] >= HERITAGE_FD_MAPPING + (int)fd_count);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(argv, fds, fd_count, parent);
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

bool heritage_parse(int argc, char *const *argv, struct heritage *out)
{
    uint64_t block;
    struct heritage h = {.previous = 0};
    if (argc != 4)
        return false;
    h.role = strcmp(argv[0], role_words[HERITAGE_OPS]) == 0 ? HERITAGE_OPS : HERITAGE_WORKER;
    if (strcmp(argv[0], role_words[h.role]) != 0)
        return false;
    if (strcmp(argv[2], "-") != 0 && !parse_id(slice_of(argv[2]), &h, &h.previous))
        return false;
    if (!parse_id(slice_of(argv[1]), &h, &h.incarnation) ||
        !slice_parse_u64(slice_of(argv[3]), 1, &block))
        return false;
    h.block = (unsigned)block;
    *out = h;
    return true;
}
