// SPDX-License-Identifier: Apache-2.0
// A master that was cut off from the rest answers reads, PING and ROLE as before;
// only who stands behind it tells. Either of two witnesses will do: a majority of
// Sentinels, because another master is made only by one; or every replica, because
// one that follows us was not promoted. One good replica is not enough: it may be
// cut off together with the master.
#include "common/store/mastership.h"

#include "common/store/replication.h"

bool mastership_confirms(const struct sentinel *s, const struct redis *r, struct slice info)
{
    struct replication now;
    if (!replication_parse(info, &now) || !now.master)
        return false;
    if (s == NULL || sentinel_vouches(s, r))
        return true;
    size_t known = sentinel_replicas(s);
    return known != SENTINEL_REPLICAS_UNKNOWN && now.good == now.replicas && now.good >= known;
}
