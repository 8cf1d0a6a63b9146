// SPDX-License-Identifier: Apache-2.0
// Positions and moments as words, for the files of the state directory.
#pragma once

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/model/feed.h"

// "<epoch> <revision> <change> <digest> <models>"
void state_text_position(struct buf *out, const struct feed_position *p);
CM_MUST_CHECK bool state_text_read_position(struct slice text, struct feed_position *out);
// "<boot id or -> <boot ms> <wall ms>"
void state_text_stamp(struct buf *out, const struct clock_stamp *s);
CM_MUST_CHECK bool state_text_read_stamp(struct slice text, struct clock_stamp *out);
