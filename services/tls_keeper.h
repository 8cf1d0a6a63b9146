// SPDX-License-Identifier: Apache-2.0
// The supervisor's side of TLS: reads the certificate's files, checks them, and
// puts them into the vault; rotates the ticket keys.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "services/settings.h"
#include "services/shm.h"
#include "services/tls_vault.h"

enum { TLS_KEEPER_ERROR_MAX = 1024 };

struct tls_keeper {
    const char *certificate_file, *key_file;
    struct tls_vault *vault;
    struct shm *shm;
    uint64_t rotate_ms; // boot time of the next rotation
};

// Whether these two files could be used now; the reason why not is in error.
CM_MUST_CHECK bool tls_keeper_check(const char *certificate_file, const char *key_file,
                                    char error[TLS_KEEPER_ERROR_MAX]);
// Reads the files for the first time. False (with the reason) when they cannot be
// used; then nothing is to be ended. The settings and both mappings are used from
// then on.
CM_MUST_CHECK bool tls_keeper_start(struct tls_keeper *k, const struct settings *s, struct shm *m,
                                    struct tls_vault *v, uint64_t now_ms,
                                    char error[TLS_KEEPER_ERROR_MAX]);
// Reads them again. Where they cannot be used all workers keep the certificate
// that they have; the log and the metrics say so.
void tls_keeper_reload(struct tls_keeper *k);
// To be called now and then.
void tls_keeper_tick(struct tls_keeper *k, uint64_t now_ms);
