// SPDX-License-Identifier: Apache-2.0
// A worker's part of TLS: it shows the certificate and uses the ticket keys that
// are in the vault. The supervisor has tried them; should this program refuse
// them all the same (a newer one, after a roll), a worker that has a certificate
// keeps it, and one that has none does not start.
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "services/worker_private.h"

static bool use_certificate(struct worker *w, const struct tls_vault_content *content)
{
    char error[TLS_ERROR_MAX];
    struct slice certificate = slice_make(content->certificate, content->certificate_len);
    struct slice key = slice_make(content->key, content->key_len);
    if (w->certificate_number == content->certificate_number)
        return true;
    w->certificate_number = content->certificate_number;
    if (tls_use(w->tls, certificate, key, error)) {
        LOG_INFO("certificate_in_use", LOG_CSTR("sha256", tls_certificate(w->tls)->fingerprint));
        return true;
    }
    LOG_ERROR("certificate_refused", LOG_CSTR("error", error));
    return false;
}

static bool follow(struct worker *w)
{
    struct tls_vault_content *content = xmalloc(sizeof(*content));
    w->vault_version = tls_vault_read(w->start->vault, content);
    tls_set_ticket_keys(w->tls, &content->tickets);
    bool ok = use_certificate(w, content);
    explicit_bzero(content, sizeof(*content));
    free(content);
    return ok;
}

bool worker_tls_start(struct worker *w)
{
    if (!settings_has_tls(w->settings))
        return true;
    w->tls = tls_create();
    return follow(w);
}

void worker_tls_look(struct worker *w)
{
    if (w->tls != NULL && tls_vault_version(w->start->vault) != w->vault_version)
        (void)follow(w);
}
