// SPDX-License-Identifier: Apache-2.0
// May what a link says be taken for the present truth? (ARCHITECTURE 3, Lease)
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"
#include "common/store/redis.h"
#include "common/store/sentinel.h"

// After another Redis was made master, a link to the old one may still pass for so
// long: SENTINEL_FRESH_MS, or REPLICATION_LAG_MAX_S and the second that is not
// counted in it.
enum { MASTERSHIP_SLACK_MS = 3000 };

// info: what Redis answered on link r to INFO replication, asked after all that
// shall be taken for true. It must be a master's. Under Sentinel (s not NULL) also
// a majority of Sentinels must name its address now, or all replicas that the
// Sentinels know must follow it closely, so that none of them was promoted.
bool mastership_confirms(const struct sentinel *s, const struct redis *r, struct slice info);
