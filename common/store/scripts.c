// SPDX-License-Identifier: Apache-2.0
// The assembler's labels as slices.
#include "common/store/scripts.h"

#include <openssl/evp.h>

enum { SHA1_LEN = 20 };

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

struct slice script_commit_sha1(void)
{
    static char hex[2 * SHA1_LEN + 1];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (hex[0] == '\0') { // once: it takes longer than the rest of a write's words
        struct slice text = script_commit();
        int ok = EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha1(), NULL);
        CM_ASSERT(ok == 1 && len == SHA1_LEN);
        util_hex_encode(digest, len, hex);
    }
    return slice_make(hex, 2 * SHA1_LEN);
}
