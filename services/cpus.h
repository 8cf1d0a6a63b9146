// SPDX-License-Identifier: Apache-2.0
// How many processors this process may use: what CM_WORKERS=auto means.
#pragma once

// The processors of the affinity mask, or the cgroup v2 quota of this process
// and all its ancestors rounded up, whichever is less. At least 1.
unsigned cpus_allowed(void);

// The least cpu.max quota on the way from root/path up to root, in whole
// processors rounded up; 0 when there is none. path is what /proc/self/cgroup
// says after "0::".
unsigned cpus_quota(const char *root, const char *path);
