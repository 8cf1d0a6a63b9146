// SPDX-License-Identifier: Apache-2.0
// Two contents, of which the version's last bit says which is the valid one. The
// supervisor, the one writer, makes the other one and then raises the version; a
// reader that sees another version after copying than before copies again. So
// nothing is ever waited for, and a supervisor that dies in the middle of a
// change leaves the old content whole.
#include "services/tls_vault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct tls_vault {
    _Atomic uint64_t version;
    struct tls_vault_content contents[2];
};

static struct tls_vault *map(int fd, int access)
{
    void *at = mmap(NULL, sizeof(struct tls_vault), access, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return NULL;
    // A private key has no business in a core file.
    (void)madvise(at, sizeof(struct tls_vault), MADV_DONTDUMP);
    return at;
}

struct tls_vault *tls_vault_create(int *fd)
{
    int made = memfd_create("cm-models-tls", MFD_CLOEXEC);
    if (made < 0)
        return NULL;
    struct tls_vault *v = NULL;
    if (ftruncate(made, (off_t)sizeof(*v)) == 0)
        v = map(made, PROT_READ | PROT_WRITE);
    if (v == NULL) {
        int why = errno;
        close(made);
        errno = why;
        return NULL;
    }
    util_random(&v->contents[0].tickets, sizeof(v->contents[0].tickets));
    *fd = made;
    return v;
}

struct tls_vault *tls_vault_attach(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || (size_t)st.st_size != sizeof(struct tls_vault))
        return NULL;
    return map(fd, PROT_READ);
}

void tls_vault_detach(struct tls_vault *v)
{
    if (v != NULL)
        munmap(v, sizeof(*v));
}

size_t tls_vault_size(void)
{
    return sizeof(struct tls_vault);
}

static const struct tls_vault_content *content_of(const struct tls_vault *v, uint64_t version)
{
    return &v->contents[version % 2];
}

// The content that is not valid, as a copy of the valid one, to be changed.
static struct tls_vault_content *open_next(struct tls_vault *v)
{
    struct tls_vault_content *next = &v->contents[(v->version + 1) % 2];
    *next = *content_of(v, v->version);
    return next;
}

static void publish(struct tls_vault *v)
{
    v->version++;
    // The old key is not kept in memory longer than it is used.
    explicit_bzero(&v->contents[(v->version + 1) % 2], sizeof(v->contents[0]));
}

void tls_vault_put(struct tls_vault *v, struct slice certificate, struct slice key)
{
    CM_ASSERT(certificate.len <= TLS_VAULT_CERTIFICATE_MAX && key.len <= TLS_VAULT_KEY_MAX);
    struct tls_vault_content *next = open_next(v);
    memset(next->key, 0, sizeof(next->key));
    memcpy(next->certificate, certificate.ptr, certificate.len);
    memcpy(next->key, key.ptr, key.len);
    next->certificate_len = (uint32_t)certificate.len;
    next->key_len = (uint32_t)key.len;
    next->certificate_number++;
    publish(v);
}

void tls_vault_rotate(struct tls_vault *v)
{
    struct tls_ticket_key *keys = open_next(v)->tickets.key;
    memmove(keys + 1, keys, (TLS_TICKET_KEYS - 1) * sizeof(keys[0]));
    util_random(&keys[TLS_TICKET_NEXT], sizeof(keys[0]));
    publish(v);
}

uint64_t tls_vault_version(const struct tls_vault *v)
{
    return v->version;
}

uint64_t tls_vault_read(const struct tls_vault *v, struct tls_vault_content *out)
{
    for (;;) {
        uint64_t before = v->version;
        *out = *content_of(v, before);
        atomic_thread_fence(memory_order_acquire);
        if (v->version == before)
            return before;
    }
}
