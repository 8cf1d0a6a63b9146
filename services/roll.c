// SPDX-License-Identifier: Apache-2.0
// One slot after the other, the ops child's last: start a second process beside the
// first, wait until it is as able as the first, ask the first to leave, wait until
// it has gone.
//
// Both accept from the slot's one socket meanwhile, so no connection is ever
// without somebody to take it. A successor that dies, or does not get ready in
// a minute, ends the whole roll with the old workers in place: what kept it
// would keep the others too.
//
// The program's file may have been replaced. The first successor tries the new
// one; when it has become able, everybody who starts later is made of it.
#include "services/roll.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"

enum { ABLE_MS = 60000, GIVE_UP_MS = 5000 };

void roll_request(struct roll *r, struct crew *c)
{
    if (r->step != ROLL_IDLE) {
        r->again = true;
    } else if (!crew_look_for_program(c)) {
        LOG_ERROR("roll_refused", LOG_CSTR("what", "the program's file cannot be opened"),
                  LOG_CSTR("error", strerror(errno)));
    } else {
        r->step = ROLL_NEXT;
        r->slot = 0;
        LOG_INFO("roll_started", LOG_U64("slot", 0));
    }
}

static void give_up(struct roll *r, struct crew *c, const char *why)
{
    LOG_ERROR("roll_given_up", LOG_U64("slot", r->slot), LOG_CSTR("why", why),
              LOG_CSTR("hint", "the workers that are there go on"));
    crew_drop_program(c);
    *r = (struct roll){.step = ROLL_IDLE};
}

static void finish(struct roll *r, struct crew *c)
{
    LOG_INFO("roll_done", LOG_U64("slots", r->slot));
    bool again = r->again;
    crew_drop_program(c); // when nobody was there to try it
    *r = (struct roll){.step = ROLL_IDLE};
    if (again)
        roll_request(r, c);
}

static void next(struct roll *r, struct crew *c, unsigned slots, uint64_t now_ms)
{
    // A slot whose process has just died gets a new one anyway.
    while (r->slot < slots && !crew_renew(c, r->slot, now_ms))
        r->slot++;
    r->step = ROLL_WAIT_ABLE;
    r->deadline_ms = now_ms + ABLE_MS;
    if (r->slot >= slots)
        finish(r, c);
}

static void wait_able(struct roll *r, struct crew *c, uint64_t drain_ms, uint64_t now_ms)
{
    switch (crew_renewal_state(c, r->slot)) {
    case CREW_RENEWAL_ABLE:
        crew_keep_program(c);
        crew_dismiss_one(c, r->slot, false, now_ms + drain_ms);
        r->step = ROLL_WAIT_GONE;
        break;
    case CREW_RENEWAL_STARTING:
        if (now_ms < r->deadline_ms)
            return;
        crew_dismiss_one(c, r->slot, true, now_ms + GIVE_UP_MS);
        give_up(r, c, "the successor did not get ready");
        break;
    case CREW_RENEWAL_FAILED:
        give_up(r, c, "the successor ended; its own lines say why");
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
