// SPDX-License-Identifier: Apache-2.0
// What workers need to speak TLS, in memory that the supervisor shares with them
// and with nobody else: the certificate, its private key, the ticket keys.
//
// They are here and not read by each worker from the files, so that all workers
// have the same, so that what was checked once is what is used, and so that a
// worker that starts while the files are wrong starts all the same.
#pragma once

#include <stdint.h>

#include "common/base/slice.h"
#include "common/http/tls.h"

enum { TLS_VAULT_CERTIFICATE_MAX = 128 * 1024, TLS_VAULT_KEY_MAX = 32 * 1024 };

struct tls_vault_content {
    uint64_t certificate_number; // rises with each certificate; 0 = none yet
    struct tls_ticket_keys tickets;
    uint32_t certificate_len, key_len;
    char certificate[TLS_VAULT_CERTIFICATE_MAX]; // PEM
    char key[TLS_VAULT_KEY_MAX];
};

struct tls_vault;

// Supervisor: makes it, with ticket keys and without a certificate. *fd is its
// memfd, close-on-exec. NULL with errno set on failure.
CM_MUST_CHECK struct tls_vault *tls_vault_create(int *fd);
// Worker: maps an inherited one, to be read only. NULL when it is none.
CM_MUST_CHECK struct tls_vault *tls_vault_attach(int fd);
void tls_vault_detach(struct tls_vault *v); // NULL is fine
size_t tls_vault_size(void);                // of the mapping, to tell layouts apart

// Supervisor. Texts longer than the content's room are not to be given.
void tls_vault_put(struct tls_vault *v, struct slice certificate, struct slice key);
// The next ticket key becomes the one that seals, the oldest is forgotten.
void tls_vault_rotate(struct tls_vault *v);

// Rises with each change of anything.
uint64_t tls_vault_version(const struct tls_vault *v);
// Copies the content, whole; returns the version that it is of. The caller wipes
// *out (explicit_bzero) when it is done.
uint64_t tls_vault_read(const struct tls_vault *v, struct tls_vault_content *out);
