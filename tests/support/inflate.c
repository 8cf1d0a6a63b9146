// SPDX-License-Identifier: Apache-2.0
// zlib's own reader, told to take gzip alone.
#include "tests/support/inflate.h"

#include <zlib.h>

#include "tests/support/test.h"

enum { GZIP_ONLY = 15 + 16 };

void inflate_member(struct slice member, struct buf *out)
{
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, GZIP_ONLY), Z_OK);
    z.next_in = (z_const Bytef *)member.ptr;
    z.avail_in = (uInt)member.len;
    int status;
    do {
        buf_reserve(out, 65536);
        size_t room = out->cap - out->len;
        z.next_out = (Bytef *)out->ptr + out->len;
        z.avail_out = (uInt)room;
        status = inflate(&z, Z_NO_FLUSH);
        out->len += room - z.avail_out;
    } while (status == Z_OK);
    assert_int_equal(status, Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    inflateEnd(&z);
}
