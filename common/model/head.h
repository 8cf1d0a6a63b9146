// SPDX-License-Identifier: Apache-2.0
// The head of a history ({cm}:head): which history, how far, and its digest.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/digest.h"

enum { HEAD_FORMAT = 1, HEAD_PARENTS_MAX = 8, HEAD_ID_HEX_LEN = 16 };

// Epochs and changes are random 64-bit ids, never 0, written as 16 hex digits.
struct head {
    uint64_t format;
    uint64_t epoch;
    uint64_t parents[HEAD_PARENTS_MAX]; // epochs that this one continues, newest first
    size_t parent_count;
    uint64_t revision; // 0..2^53-1
    uint64_t change;
    struct digest digest; // of the model records
    uint64_t models;      // their count, active or not
};

// The hash fields in the order in which every reader asks for them.
enum head_field {
    HEAD_FIELD_FORMAT,
    HEAD_FIELD_EPOCH,
    HEAD_FIELD_PARENTS, // blank-separated, "" for none
    HEAD_FIELD_REVISION,
    HEAD_FIELD_CHANGE,
    HEAD_FIELD_DIGEST,
    HEAD_FIELD_MODELS,
    HEAD_FIELD_COUNT
};
extern const char
    *const head_field_names[HEAD_FIELD_COUNT]; // format epoch parents rev change digest models

enum head_status {
    HEAD_OK,
    HEAD_ABSENT,  // no field at all: empty, flushed, never initialised
    HEAD_NEWER,   // a format that this build does not know
    HEAD_GARBLED, // something else lives there
};
// From an HMGET of head_field_names; a missing field has ptr NULL. Unless
// HEAD_OK, *out is unchanged.
CM_MUST_CHECK enum head_status head_parse(const struct slice fields[HEAD_FIELD_COUNT],
                                          struct head *out);
// Is that epoch among its parents? (Not: is it that epoch.)
bool head_descends_from(const struct head *h, uint64_t epoch);
// 16 hex digits, NUL-ended / back; parse refuses 0.
void head_id_hex(uint64_t id, char out[HEAD_ID_HEX_LEN + 1]);
CM_MUST_CHECK bool head_id_parse(struct slice hex, uint64_t *out);
// A fresh random id, never 0.
uint64_t head_new_id(void);
