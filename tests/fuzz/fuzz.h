// SPDX-License-Identifier: Apache-2.0
// What each fuzz target is: one function that takes any bytes and aborts when a
// promise of ours does not hold. libFuzzer calls it, or replay.c.
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
