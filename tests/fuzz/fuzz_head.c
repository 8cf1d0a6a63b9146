// SPDX-License-Identifier: Apache-2.0
// Any lines as the fields of a head ("-" is a field that is missing): what is one has
// ids, a revision and a count in their ranges.
#include "common/model/head.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_make(data, size), fields[HEAD_FIELD_COUNT];
    struct head h = {.format = 77};
    for (size_t i = 0; i < HEAD_FIELD_COUNT; i++) {
        fields[i] = slice_take(&rest, '\n');
        if (slice_equal(fields[i], SLICE_LIT("-")))
            fields[i] = SLICE_NONE;
        else if (fields[i].ptr == NULL)
            fields[i] = SLICE_LIT("");
    }
    if (head_parse(fields, &h) != HEAD_OK) {
        CM_ASSERT(h.format == 77);
        return 0;
    }
    CM_ASSERT(h.format >= 1 && h.format <= HEAD_FORMAT && h.epoch != 0 && h.change != 0);
    CM_ASSERT(h.parent_count <= HEAD_PARENTS_MAX && h.revision < UINT64_C(1) << 53);
    for (size_t i = 0; i < h.parent_count; i++)
        CM_ASSERT(h.parents[i] != 0 && head_descends_from(&h, h.parents[i]));
    return 0;
}
