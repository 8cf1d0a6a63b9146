// SPDX-License-Identifier: Apache-2.0
// See there.
#include "tests/fuzz/fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_import(0, slice_make(data, size)); // "native" of IMPORT_FORMATS
}
