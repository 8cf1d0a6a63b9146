// SPDX-License-Identifier: Apache-2.0
// The two ids of an answer: their names, and their way into a header block of HTTP/2.
#pragma once

#include <stdbool.h>

#include "common/http/http_private.h"

enum { IDS = 2 };
extern h2o_iovec_t ids_names[IDS]; // by these very pointers, the last headers of each answer

// Before libh2o encodes the headers of res: takes the ids off, so that they stay out
// of its table. False, and nothing is done, when they are not there or the block may
// be longer than a frame.
bool ids_take(h2o_res_t *res, size_t max_frame_size);
// After it: appends the ids that were taken to the HEADERS frame that begins there and
// ends with the buffer, and puts them back.
void ids_spell(h2o_buffer_t **buf, size_t frame_at, h2o_res_t *res);
