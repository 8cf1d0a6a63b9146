// SPDX-License-Identifier: Apache-2.0
// Both files are read into memory, checked there by the same code that workers
// use them with, and only then published: what changes on the disk meanwhile, or
// turns out wrong, reaches nobody. An expired certificate is published, with a
// warning: clients see what is wrong then, which is more than a service that is
// not there would tell them.
#include "services/tls_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"

enum { ROTATE_MS = TLS_TICKET_LIFE_S * 1000 / 2 };
// Whatever a ticket is sealed with still opens it when its life ends.
_Static_assert((TLS_TICKET_OLDEST - TLS_TICKET_NOW) * ROTATE_MS >= TLS_TICKET_LIFE_S * 1000,
               "tickets must not outlive their keys");

// A file's text; the caller wipes and frees it. ptr NULL with the reason added to error.
static struct slice read_text(const char *name, const char *path, size_t max,
                              char error[TLS_KEEPER_ERROR_MAX])
{
    FILE *f = fopen(path, "re");
    char *text = f == NULL ? NULL : xmalloc(max + 1);
    size_t len = f == NULL ? 0 : fread(text, 1, max + 1, f);
    const char *why = f == NULL || ferror(f) != 0 ? strerror(errno) : NULL;
    if (why == NULL && len > max)
        why = "it is too large";
    if (f != NULL)
        fclose(f);
    if (why == NULL)
        return slice_make(text, len);
    size_t len_so_far = strlen(error);
    snprintf(error + len_so_far, TLS_KEEPER_ERROR_MAX - len_so_far, "%s%s: cannot read %s: %s",
             len_so_far == 0 ? "" : "; ", name, path, why);
    free(text);
    return SLICE_NONE;
}

static void wipe(struct slice text)
{
    if (text.ptr != NULL)
        explicit_bzero((char *)(uintptr_t)text.ptr, text.len);
    free((char *)(uintptr_t)text.ptr);
}

// Both texts, checked, and what the certificate is. Wiped by the caller.
struct pair {
    struct slice certificate, key;
    struct tls_certificate is;
};

static bool check_pair(struct pair *p, const char *certificate_file, const char *key_file,
                       char error[TLS_KEEPER_ERROR_MAX])
{
    char why[TLS_ERROR_MAX];
    struct tls *probe = tls_create();
    bool ok = tls_use(probe, p->certificate, p->key, why);
    if (ok)
        p->is = *tls_certificate(probe);
    else
        snprintf(error, TLS_KEEPER_ERROR_MAX, "%s (CM_TLS_CERT_FILE %s, CM_TLS_KEY_FILE %s)", why,
                 certificate_file, key_file);
    tls_destroy(probe);
    return ok;
}

static bool read_pair(struct pair *p, const char *certificate_file, const char *key_file,
                      char error[TLS_KEEPER_ERROR_MAX])
{
    *p = (struct pair){.key = SLICE_NONE};
    error[0] = '\0';
    p->certificate =
        read_text("CM_TLS_CERT_FILE", certificate_file, TLS_VAULT_CERTIFICATE_MAX, error);
    p->key = read_text("CM_TLS_KEY_FILE", key_file, TLS_VAULT_KEY_MAX, error);
    return p->certificate.ptr != NULL && p->key.ptr != NULL &&
           check_pair(p, certificate_file, key_file, error);
}

static void wipe_pair(struct pair *p)
{
    wipe(p->certificate);
    wipe(p->key);
}

bool tls_keeper_check(const char *certificate_file, const char *key_file,
                      char error[TLS_KEEPER_ERROR_MAX])
{
    struct pair pair;
    bool ok = read_pair(&pair, certificate_file, key_file, error);
    wipe_pair(&pair);
    return ok;
}

static void log_certificate(const struct tls_certificate *is)
{
    char from[CLOCK_RFC3339_MAX], to[CLOCK_RFC3339_MAX];
    int64_t now = clock_wall_s();
    bool valid = is->not_before <= now && now < is->not_after;
    clock_format_rfc3339(is->not_before, "Z", from);
    clock_format_rfc3339(is->not_after, "Z", to);
    LOG_AT(valid ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
           valid                  ? "certificate_taken"
           : now < is->not_before ? "certificate_not_yet_valid"
                                  : "certificate_expired",
           LOG_CSTR("subject", is->subject), LOG_CSTR("valid_from", from), LOG_CSTR("valid_to", to),
           LOG_CSTR("sha256", is->fingerprint));
}

static bool take(struct tls_keeper *k, char error[TLS_KEEPER_ERROR_MAX])
{
    struct pair pair;
    bool ok = read_pair(&pair, k->certificate_file, k->key_file, error);
    if (ok) {
        tls_vault_put(k->vault, pair.certificate, pair.key);
        log_certificate(&pair.is);
    }
    wipe_pair(&pair);
    return ok;
}

bool tls_keeper_start(struct tls_keeper *k, const struct settings *s, struct shm *m,
                      struct tls_vault *v, uint64_t now_ms, char error[TLS_KEEPER_ERROR_MAX])
{
    *k = (struct tls_keeper){.certificate_file = s->tls_cert_file,
                             .key_file = s->tls_key_file,
                             .vault = v,
                             .shm = m,
                             .rotate_ms = now_ms + ROTATE_MS};
    return take(k, error);
}

void tls_keeper_reload(struct tls_keeper *k)
{
    char error[TLS_KEEPER_ERROR_MAX];
    bool ok = take(k, error);
    shm_count_reload(k->shm, ok);
    if (!ok)
        LOG_ERROR("certificate_kept", LOG_CSTR("error", error),
                  LOG_CSTR("hint", "the old one stays in use; mend the files, then SIGHUP again"));
}

void tls_keeper_tick(struct tls_keeper *k, uint64_t now_ms)
{
    if (now_ms < k->rotate_ms)
        return;
    // After a long sleep once is enough: tickets that old are dead by their age.
    tls_vault_rotate(k->vault);
    k->rotate_ms = now_ms + ROTATE_MS;
    LOG_INFO("ticket_keys_rotated", LOG_U64("version", tls_vault_version(k->vault)));
}
