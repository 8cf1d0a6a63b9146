// SPDX-License-Identifier: Apache-2.0
// Processor time from getrusage, resident memory from /proc/self/statm.
#include "services/process_stats.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "services/metrics_table.h"

static uint64_t to_ms(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

// The second number of statm, in pages; 0 when it cannot be read.
static uint64_t resident_pages(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    char *at = text;
    (void)strtoull(at, &at, 10);
    return strtoull(at, NULL, 10);
}

void process_stats_store(metric_value *values)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        metric_set(values, METRIC_CPU_MS, to_ms(used.ru_utime) + to_ms(used.ru_stime));
    metric_set(values, METRIC_RESIDENT_BYTES, resident_pages() * (uint64_t)sysconf(_SC_PAGESIZE));
    metric_set(values, METRIC_LOG_DROPPED, log_dropped());
}
