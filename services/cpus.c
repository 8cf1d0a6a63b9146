// SPDX-License-Identifier: Apache-2.0
// Affinity and cgroup v2 quota. A quota binds everything below it, so the least
// one on the way to the root counts; "max" or a file that is not there binds
// nothing.
#include "services/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "common/base/slice.h"
#include "common/base/util.h"

enum { PATH_MAX_BYTES = 4096 };

// "150000 100000" is one and a half processors: 2.
static unsigned parse_quota(struct slice text)
{
    uint64_t quota, period;
    struct slice rest = slice_trim(text);
    struct slice first = slice_take(&rest, ' ');
    if (!slice_parse_u64(first, UINT32_MAX, &quota) || !slice_parse_u64(rest, UINT32_MAX, &period))
        return 0;
    return quota == 0 || period == 0 ? 0 : (unsigned)((quota + period - 1) / period);
}

static unsigned read_quota(const char *dir)
{
    char name[PATH_MAX_BYTES + 16], text[64];
    snprintf(name, sizeof(name), "%s/cpu.max", dir);
    FILE *f = fopen(name, "re");
    if (f == NULL)
        return 0;
    size_t len = fread(text, 1, sizeof(text), f);
    fclose(f);
    return parse_quota(slice_make(text, len));
}

unsigned cpus_quota(const char *root, const char *path)
{
    char dir[PATH_MAX_BYTES];
    unsigned least = 0;
    size_t root_len = strlen(root);
    if (snprintf(dir, sizeof(dir), "%s%s", root, path) >= (int)sizeof(dir))
        return 0;
    for (;;) {
        unsigned here = read_quota(dir);
        if (here > 0 && (least == 0 || here < least))
            least = here;
        char *slash = strrchr(dir, '/');
        if (slash == NULL || slash < dir + root_len)
            return least;
        *slash = '\0';
    }
}

static unsigned own_quota(void)
{
    char line[PATH_MAX_BYTES];
    unsigned quota = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            quota = cpus_quota("/sys/fs/cgroup", line + 3);
    }
    fclose(f);
    return quota;
}

static unsigned affinity(void)
{
    // A fixed set holds 1,024 processors; on larger machines the call fails.
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1024;
    return (unsigned)CPU_COUNT(&set);
}

unsigned cpus_allowed(void)
{
    unsigned allowed = affinity(), quota = own_quota();
    if (quota > 0 && quota < allowed)
        allowed = quota;
    return allowed > 0 ? allowed : 1;
}
