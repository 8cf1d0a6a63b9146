// SPDX-License-Identifier: Apache-2.0
// The assembler's labels as slices.
#include "common/store/scripts.h"

#include <openssl/evp.h>

extern const char script_commit_begin[], script_commit_end[];
extern const char script_init_begin[], script_init_end[];

struct slice script_commit(void)
{
    return slice_make(script_commit_begin, (size_t)(script_commit_end - script_commit_begin));
}

struct slice script_init(void)
{
    return slice_make(script_init_begin, (size_t)(script_init_end - script_init_begin));
}

void script_sha1(struct slice text, char out[SCRIPT_SHA1_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int ok = EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha1(), NULL);
    CM_ASSERT(ok == 1 && len == SCRIPT_SHA1_LEN / 2);
    util_hex_encode(digest, len, out);
    out[SCRIPT_SHA1_LEN] = '\0';
}
