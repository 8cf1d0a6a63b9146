// SPDX-License-Identifier: Apache-2.0
// Any bytes as a snapshot file: as they are, and with the digest that they would need.
// What is taken for one is written back byte for byte.
#include "services/snapshot.h"

#include "tests/fuzz/fuzz.h"

static const char store[] = "{cm}:0:bell";

static bool copy_records(struct slice records, struct buf *out)
{
    struct snapshot_record r;
    int got;
    while ((got = snapshot_next(&records, &r)) > 0) {
        CM_ASSERT(r.id.len > 0);
        snapshot_add(out, &r);
    }
    return got == 0;
}

static void read_as_snapshot(struct slice bytes)
{
    struct snapshot_head head;
    struct slice records;
    struct buf again = {0};
    if (snapshot_open(bytes, store, &head, &records) != SNAPSHOT_OK)
        return;
    snapshot_begin(&again, store, &head);
    if (copy_records(records, &again)) {
        snapshot_end(&again);
        // Ids may be spelt in capitals; everything else has one form.
        CM_ASSERT(again.len == bytes.len);
    }
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0};
    read_as_snapshot(slice_make(data, size));
    buf_append(&whole, data, size);
    snapshot_end(&whole);
    read_as_snapshot(buf_slice(&whole));
    buf_fini(&whole);
    return 0;
}
