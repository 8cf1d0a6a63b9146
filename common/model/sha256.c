// SPDX-License-Identifier: Apache-2.0
// Every public request hashes its credential, so the digest is fetched and the
// context made once: asking OpenSSL 3 for them anew costs four times as much as
// the hashing itself. Both stay until the process ends; one thread uses them.
//
// There is no failure to report: the digest is built in, and an OpenSSL without
// it is a broken installation.
#include "common/model/sha256.h"

#include <openssl/evp.h>

static EVP_MD *method;
static EVP_MD_CTX *context;

static void prepare(void)
{
    if (context != NULL)
        return;
    method = EVP_MD_fetch(NULL, "SHA256", NULL);
    context = EVP_MD_CTX_new();
    CM_ASSERT(method != NULL && context != NULL);
}

void sha256_parts(const struct slice *parts, size_t count, unsigned char out[SHA256_LEN])
{
    prepare();
    int ok = EVP_DigestInit_ex2(context, method, NULL);
    for (size_t i = 0; i < count; i++)
        ok &= EVP_DigestUpdate(context, parts[i].ptr, parts[i].len);
    ok &= EVP_DigestFinal_ex(context, out, NULL);
    CM_ASSERT(ok == 1);
}

void sha256_slice(struct slice text, unsigned char out[SHA256_LEN])
{
    sha256_parts(&text, 1, out);
}
