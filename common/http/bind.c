// SPDX-License-Identifier: Apache-2.0
// Making listening sockets.
//
// A group shares one port by SO_REUSEPORT, which any process of the same user
// could join. So the first socket is bound without the option, which fails
// while anybody listens there, and gets it only then: from that moment on later
// binds with the option succeed, and those of a second instance, whose first
// one has none, do not. There is no window between the probe and the bind.
//
// TCP_NODELAY is set here because accepted sockets inherit them.
#include "common/http/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/slice.h"

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static int resolve(const char *address, struct sockaddr_storage *out, socklen_t *len)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL)
        return -EINVAL;
    struct slice name = slice_make(address, (size_t)(colon - address));
    if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = slice_make(name.ptr + 1, name.len - 2);
    char host[256];
    if (name.len == 0 || name.len >= sizeof(host))
        return -EINVAL;
    snprintf(host, sizeof(host), "%.*s", SLICE_FMT(name));
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return -EADDRNOTAVAIL;
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int listen_on(int fd, int backlog)
{
    int error = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (error == 0 && listen(fd, backlog) != 0)
        error = -errno;
    return error;
}

// The bound socket, not yet listening, or a negative errno.
static int bind_to(const struct sockaddr_storage *where, socklen_t len, bool reuse_port)
{
    int fd = socket(where->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && reuse_port)
        error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (error == 0 && bind(fd, (const struct sockaddr *)where, len) != 0)
        error = -errno;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int server_bind(const char *address, bool reuse_port, int backlog)
{
    struct sockaddr_storage where;
    socklen_t len;
    int error = resolve(address, &where, &len);
    if (error != 0)
        return error;
    int fd = bind_to(&where, len, reuse_port);
    if (fd < 0)
        return fd;
    error = listen_on(fd, backlog);
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

// The first of a group: alone when it is bound, joinable afterwards.
static int bind_first(struct sockaddr_storage *where, socklen_t *len)
{
    int fd = bind_to(where, *len, false);
    if (fd < 0)
        return fd;
    int error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    // With port 0 the others need the port that this one got.
    if (error == 0 && getsockname(fd, (struct sockaddr *)where, len) != 0)
        error = -errno;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int server_bind_group(const char *address, int *fds, size_t count, int backlog)
{
    struct sockaddr_storage where;
    socklen_t len;
    int error = resolve(address, &where, &len);
    size_t made = 0;
    while (error == 0 && made < count) {
        int fd = made == 0 ? bind_first(&where, &len) : bind_to(&where, len, true);
        if (fd < 0)
            error = fd;
        else
            fds[made++] = fd;
    }
    // All are bound before any listens: nobody connects to half a group.
    for (size_t i = 0; error == 0 && i < count; i++)
        error = listen_on(fds[i], backlog);
    while (error != 0 && made > 0)
        close(fds[--made]);
    return error;
}

void server_bound_address(int fd, char out[BIND_ADDRESS_MAX])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } where = {0};
    socklen_t len = sizeof(where);
    char host[INET6_ADDRSTRLEN] = "?";
    (void)getsockname(fd, &where.any, &len);
    if (where.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &where.v6.sin6_addr, host, sizeof(host));
        snprintf(out, BIND_ADDRESS_MAX, "[%s]:%u", host, ntohs(where.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &where.v4.sin_addr, host, sizeof(host));
        snprintf(out, BIND_ADDRESS_MAX, "%s:%u", host, ntohs(where.v4.sin_port));
    }
}
