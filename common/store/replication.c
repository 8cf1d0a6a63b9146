// SPDX-License-Identifier: Apache-2.0
// Lines "name:value"; a replica is
//   slave0:ip=10.0.0.2,port=6379,state=online,offset=1234,lag=1
// where offset is what it has acknowledged and lag the whole seconds since then.
// A replica of a replica is not listed. Fields that are not known are passed over.
#include "common/store/replication.h"

struct replica {
    bool online;
    uint64_t offset, lag_s;
};

static bool starts_replica(struct slice name)
{
    static const struct slice word = {"slave", 5};
    uint64_t number;
    return slice_starts_with(name, word) &&
           slice_parse_u64(slice_skip(name, word.len), UINT16_MAX, &number);
}

// False when the line is no replica's. What it lacks makes it a bad one.
static bool read_replica(struct slice line, struct replica *out)
{
    struct slice rest = line;
    if (!starts_replica(slice_take(&rest, ':')))
        return false;
    *out = (struct replica){.lag_s = UINT64_MAX};
    while (rest.len > 0) {
        struct slice value = slice_take(&rest, ',');
        struct slice name = slice_take(&value, '=');
        if (slice_equal(name, SLICE_LIT("state")))
            out->online = slice_equal(value, SLICE_LIT("online"));
        else if (slice_equal(name, SLICE_LIT("offset")))
            (void)!slice_parse_u64(value, UINT64_MAX, &out->offset);
        else if (slice_equal(name, SLICE_LIT("lag")))
            (void)!slice_parse_u64(value, UINT64_MAX, &out->lag_s);
    }
    return true;
}

bool replication_parse(struct slice info, struct replication *out)
{
    struct replication found = {.master = false};
    bool has_role = false;
    while (info.len > 0) {
        struct slice line = slice_trim(slice_take(&info, '\n'));
        struct slice value = line, name = slice_take(&value, ':');
        struct replica replica;
        if (slice_equal(name, SLICE_LIT("role"))) {
            has_role = true;
            found.master = slice_equal(value, SLICE_LIT("master"));
        } else if (slice_equal(name, SLICE_LIT("master_repl_offset"))) {
            (void)!slice_parse_u64(value, UINT64_MAX, &found.offset);
        } else if (read_replica(line, &replica)) {
            found.replicas++;
            found.good += replica.online && replica.lag_s <= REPLICATION_LAG_MAX_S;
        }
    }
    if (has_role)
        *out = found;
    return has_role;
}

size_t replication_holders(struct slice info, uint64_t offset)
{
    size_t holders = 0;
    while (info.len > 0) {
        struct replica replica;
        if (read_replica(slice_trim(slice_take(&info, '\n')), &replica))
            holders += replica.online && replica.offset >= offset;
    }
    return holders;
}
