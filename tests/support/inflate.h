// SPDX-License-Identifier: Apache-2.0
// What a client sees of a gzip answer.
#pragma once

#include "common/base/buf.h"

// Appends what exactly one whole gzip member inflates to; fails the test on
// anything else (also a wrong checksum or length).
void inflate_member(struct slice member, struct buf *out);
