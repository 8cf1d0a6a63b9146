// SPDX-License-Identifier: Apache-2.0
// Blame goes to what was begun last. A record is parsed, put into the catalog and
// rendered before the next turn's requests, so a crash that a record causes while it
// is parsed is charged to exactly that one; one that comes while the page around it
// is rendered, to the last record of its change.
//
// The name is made of the content, not of the revision: the same record in a reload,
// in the log and in a snapshot is the same poison, and a mended one is another.
#include "services/poison.h"

#include "common/model/model_map.h"

uint64_t poison_name(struct slice what, struct slice content)
{
    uint64_t name = model_map_hash(what) * 31 + model_map_hash(content);
    return name != 0 ? name : 1;
}

bool poison_is(const struct poison *p, uint64_t name)
{
    return p->block != NULL && shm_crashes(p->shm, name) >= POISON_CRASHES;
}

bool poison_begin(const struct poison *p, uint64_t name)
{
    if (poison_is(p, name))
        return false;
    if (p->block != NULL)
        p->block->applying = name;
    return true;
}

void poison_end(const struct poison *p)
{
    if (p->block != NULL)
        p->block->applying = 0;
}
