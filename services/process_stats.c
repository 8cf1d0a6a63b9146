// SPDX-License-Identifier: Apache-2.0
// Of our own, processor time from getrusage and resident memory from /proc/self/statm; of
// others what proc(5) calls state, utime and stime in /proc/<pid>/stat.
#include "services/process_stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "services/metrics_table.h"

static uint64_t to_ms(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

// A small file of /proc as text; false when it cannot be read.
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

// The second number of statm, in pages; 0 when it cannot be read.
static uint64_t resident_pages(void)
{
    char text[128];
    if (!read_text("/proc/self/statm", text, sizeof(text)))
        return 0;
    char *at = text;
    (void)strtoull(at, &at, 10);
    return strtoull(at, NULL, 10);
}

bool process_look(pid_t pid, struct process_look *out)
{
    char path[40], text[512], state;
    unsigned long long user, system;
    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    if (!read_text(path, text, sizeof(text)))
        return false;
    // The name before it may hold anything, also ')'.
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL ||
        sscanf(name_end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &state, &user,
               &system) != 3)
        return false;
    out->runnable = state == 'R';
    out->cpu_ms = (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    return true;
}

void process_stats_store(metric_value *values)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        metric_set(values, METRIC_CPU_MS, to_ms(used.ru_utime) + to_ms(used.ru_stime));
    metric_set(values, METRIC_RESIDENT_BYTES, resident_pages() * (uint64_t)sysconf(_SC_PAGESIZE));
    metric_set(values, METRIC_LOG_DROPPED, log_dropped());
}
