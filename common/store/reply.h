// SPDX-License-Identifier: Apache-2.0
// Reading a Redis reply without hiredis' types. Everything is valid only inside
// the callback that got the reply, unless that takes it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"

struct redisReply;

// r is not NULL, unless it says so: that no reply came is for the caller to tell.
bool reply_is_error(const struct redisReply *r);
bool reply_is_wrong_type(const struct redisReply *r); // WRONGTYPE; NULL is none
bool reply_is_array(const struct redisReply *r);
bool reply_is_nil(const struct redisReply *r);
// Bytes of a string, status or error reply; SLICE_NONE for nil and other kinds.
struct slice reply_bytes(const struct redisReply *r);
// Takes over what r holds and leaves it empty; to be freed by reply_free.
CM_MUST_CHECK struct redisReply *reply_take(const struct redisReply *r);
void reply_free(struct redisReply *r); // NULL is fine
// False when r is no integer (or not the text of one); *out is unchanged.
CM_MUST_CHECK bool reply_integer(const struct redisReply *r, int64_t *out);
// 0 for anything but an array.
size_t reply_count(const struct redisReply *r);
// i < reply_count(r).
const struct redisReply *reply_at(const struct redisReply *r, size_t i);
