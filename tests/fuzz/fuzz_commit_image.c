// SPDX-License-Identifier: Apache-2.0
// Any bytes as the image of a write: what is accepted leads nowhere outside of
// itself, and says of each object which one it is.
#include "common/store/commit_image.h"

#include "tests/fuzz/fuzz.h"

static void on_object(void *ctx, enum commit_image_kind kind, struct slice id, struct slice text)
{
    size_t *bytes = ctx;
    CM_ASSERT(kind >= COMMIT_IMAGE_MODEL && kind <= COMMIT_IMAGE_RECORD);
    for (size_t i = 0; i < id.len; i++)
        *bytes += (unsigned char)id.ptr[i];
    for (size_t i = 0; i < text.len; i++)
        *bytes += (unsigned char)text.ptr[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyspace k;
    struct commit_image image;
    size_t bytes = 0;
    bool named = keyspace_init(&k, SLICE_LIT("cm"), 0);
    CM_ASSERT(named);
    if (!commit_image_parse(slice_make(data, size), &image))
        return 0;
    commit_image_each(&image, &k, on_object, &bytes);
    CM_ASSERT((commit_image_idem_key(&image).ptr != NULL) ==
              (commit_image_outcome(&image).ptr != NULL));
    (void)commit_image_audit(&image);
    commit_image_fini(&image);
    return 0;
}
