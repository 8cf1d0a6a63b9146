// SPDX-License-Identifier: Apache-2.0
// Any bytes as an announcement: what is one is written back byte for byte.
#include "common/model/bell.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_make(data, size);
    struct bell bell;
    struct buf out = {0};
    if (!bell_parse(text, &bell))
        return 0;
    CM_ASSERT(bell.key_count <= BELL_KEYS_MAX && bell.epoch != 0 && bell.change != 0);
    bell_write(&out, &bell);
    CM_ASSERT(slice_equal_nocase(buf_slice(&out), text));
    buf_fini(&out);
    return 0;
}
