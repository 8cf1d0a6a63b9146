// SPDX-License-Identifier: Apache-2.0
// Which build of libh2o is loaded, and where.
#pragma once

#include <stdbool.h>

// Hexadecimal; "" when the library carries none.
const char *library_build_id(void);
// The guard was attacked on this very build, and held.
bool library_is_verified(void);
// Is it a function of the library, not of ours?
bool library_holds(const void *function);
// The definition that ours of that name stands in front of, into *function, a
// pointer of its type. For constructors: there is always one.
void library_behind(const char *name, void *function);
// Do the library's own calls of these functions (a list ended by NULL) really reach
// ours? They do when the program exports them; a linker that leaves one out says
// nothing.
bool library_is_overruled(const char *const *names);
