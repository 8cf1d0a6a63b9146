// SPDX-License-Identifier: Apache-2.0
// The public object of a model under an alias's name: a head with that name,
// the model's own middle, a tail with root.
#pragma once

#include "common/base/buf.h"
#include "common/model/model.h"

// Appends `{"id":<name>` and returns the length of <name> as a JSON string.
size_t aliased_write_head(struct buf *out, struct slice name);
// Appends `,"root":<id of the model>}`.
void aliased_write_tail(struct buf *out, const struct model *target);

enum { ALIASED_ID_AT = 6 }; // where <name> begins in a head
