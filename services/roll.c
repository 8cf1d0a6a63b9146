// SPDX-License-Identifier: Apache-2.0
// One slot after the other: start a second worker beside the first, wait until
// it is as able as the first, ask the first to leave, wait until it has gone.
//
// Both accept from the slot's one socket meanwhile, so no connection is ever
// without somebody to take it. A successor that dies, or does not get ready in
// a minute, ends the whole roll with the old workers in place: what kept it
// would keep the others too.
#include "services/roll.h"

#include "common/base/log.h"

enum { ABLE_MS = 60000, GIVE_UP_MS = 5000 };

void roll_request(struct roll *r)
{
    if (r->step == ROLL_IDLE) {
        r->step = ROLL_NEXT;
        r->slot = 0;
        LOG_INFO("roll_started", LOG_U64("slot", 0));
    } else {
        r->again = true;
    }
}

static void finish(struct roll *r, const char *event, enum log_level level)
{
    LOG_AT(level, event, LOG_U64("slot", r->slot));
    bool again = r->again && level == LOG_LEVEL_INFO;
    *r = (struct roll){.step = ROLL_IDLE};
    if (again)
        roll_request(r);
}

static void next(struct roll *r, struct crew *c, unsigned slots, uint64_t now_ms)
{
    // A slot whose worker has just died gets a new one anyway.
    while (r->slot < slots && !crew_renew(c, r->slot, now_ms))
        r->slot++;
    r->step = ROLL_WAIT_ABLE;
    r->deadline_ms = now_ms + ABLE_MS;
    if (r->slot >= slots)
        finish(r, "roll_done", LOG_LEVEL_INFO);
}

static void wait_able(struct roll *r, struct crew *c, uint64_t drain_ms, uint64_t now_ms)
{
    switch (crew_renewal_state(c, r->slot)) {
    case CREW_RENEWAL_ABLE:
        crew_dismiss_one(c, r->slot, false, now_ms + drain_ms);
        r->step = ROLL_WAIT_GONE;
        break;
    case CREW_RENEWAL_STARTING:
        if (now_ms < r->deadline_ms)
            return;
        crew_dismiss_one(c, r->slot, true, now_ms + GIVE_UP_MS);
        finish(r, "roll_given_up", LOG_LEVEL_ERROR);
        break;
    case CREW_RENEWAL_FAILED:
        finish(r, "roll_given_up", LOG_LEVEL_ERROR);
        break;
    }
}

void roll_tick(struct roll *r, struct crew *c, unsigned slots, uint64_t drain_ms, uint64_t now_ms)
{
    if (r->step == ROLL_WAIT_GONE && crew_is_single(c, r->slot)) {
        r->slot++;
        r->step = ROLL_NEXT;
    }
    if (r->step == ROLL_WAIT_ABLE)
        wait_able(r, c, drain_ms, now_ms);
    else if (r->step == ROLL_NEXT)
        next(r, c, slots, now_ms);
}
