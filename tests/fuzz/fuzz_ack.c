// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ack: what is one says the same after it was written and read again.
#include "common/model/ack.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ack ack, again;
    struct buf first = {0}, second = {0};
    if (!ack_parse(slice_make(data, size), &ack))
        return 0;
    ack_write(&first, &ack);
    CM_ASSERT(ack_parse(buf_slice(&first), &again));
    ack_write(&second, &again);
    CM_ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
