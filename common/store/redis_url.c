// SPDX-License-Identifier: Apache-2.0
// Takes CM_REDIS_URL apart from left to right: scheme, credentials, hosts, what
// the Sentinels call the master, database. It is strict, because a URL that is
// read otherwise than it was meant connects to the wrong database. No message
// repeats any part of the text: it holds a password.
#include "common/store/redis_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { REDIS_PORT = 6379, SENTINEL_PORT = 26379, HOST_MAX = 253 };

static void wipe(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static bool refuse(char error[REDIS_URL_ERROR_MAX], const char *why)
{
    snprintf(error, REDIS_URL_ERROR_MAX, "%s", why);
    return false;
}

// Percent-decoded, NUL-ended copy; NULL on a bad escape or a NUL.
static char *decode(struct slice s)
{
    char *out = xmalloc(s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char byte = (unsigned char)s.ptr[i];
        if (byte == '%') {
            if (s.len - i < 3 || !util_hex_decode(s.ptr + i + 1, &byte, 1))
                byte = '\0';
            i += 2;
        }
        if (byte == '\0') {
            explicit_bzero(out, n);
            free(out);
            return NULL;
        }
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return out;
}

static bool parse_credentials(struct slice text, struct redis_url *url,
                              char error[REDIS_URL_ERROR_MAX])
{
    struct slice user = slice_take(&text, ':');
    bool has_password = text.ptr != NULL;
    if (user.len > 0 && (url->user = decode(user)) == NULL)
        return refuse(error, "the user holds a bad percent-escape");
    if (has_password && text.len > 0 && (url->password = decode(text)) == NULL)
        return refuse(error, "the password holds a bad percent-escape");
    return true;
}

static bool is_host(struct slice host, bool bracketed)
{
    if (host.len == 0 || host.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool alnum =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
        if (!alnum && !(bracketed ? c == ':' || c == '%' : c == '-' || c == '_'))
            return false;
    }
    return true;
}

// "host", "host:port", "[v6]", "[v6]:port".
static bool parse_address(struct slice text, uint16_t default_port, char **host_out,
                          uint16_t *port_out, char error[REDIS_URL_ERROR_MAX])
{
    bool bracketed = text.len > 0 && text.ptr[0] == '[';
    struct slice host, port;
    if (bracketed) {
        port = slice_skip(text, 1);
        host = slice_take(&port, ']');
        if (port.ptr == NULL || (port.len > 0 && port.ptr[0] != ':'))
            return refuse(error, "an address in brackets must end in ] or ]:port");
        if (port.len > 0)
            port = slice_skip(port, 1);
        else
            port = SLICE_NONE;
    } else {
        port = text;
        host = slice_take(&port, ':');
    }
    if (!is_host(host, bracketed))
        return refuse(error, "the host is missing or holds a character that no host has");
    uint64_t number = default_port;
    if (port.ptr != NULL && (!slice_parse_u64(port, UINT16_MAX, &number) || number == 0))
        return refuse(error, "the port must be a number from 1 to 65535");
    *host_out = slice_dup(host);
    *port_out = (uint16_t)number;
    return true;
}

// Leaves the hosts in *authority.
static bool take_credentials(struct slice *authority, struct redis_url *url,
                             char error[REDIS_URL_ERROR_MAX])
{
    // The last @, so that an unescaped one in a password does no harm.
    for (size_t i = authority->len; i > 0; i--)
        if (authority->ptr[i - 1] == '@') {
            struct slice credentials = slice_make(authority->ptr, i - 1);
            *authority = slice_skip(*authority, i);
            return parse_credentials(credentials, url, error);
        }
    return true;
}

static bool parse_database(struct slice text, struct redis_url *url,
                           char error[REDIS_URL_ERROR_MAX])
{
    uint64_t number = 0;
    if (text.len > 0 && !slice_parse_u64(text, INT32_MAX, &number))
        return refuse(error, "what stands last must be a database number, as in /0");
    url->database = (uint32_t)number;
    return true;
}

static bool parse_tcp(struct slice rest, struct redis_url *url, char error[REDIS_URL_ERROR_MAX])
{
    struct slice authority = slice_take(&rest, '/');
    return take_credentials(&authority, url, error) &&
           parse_address(authority, REDIS_PORT, &url->host, &url->port, error) &&
           parse_database(rest, url, error);
}

// One that is named twice would count as two when a majority is asked for.
static bool is_listed(const struct redis_url *url, const struct redis_sentinel_url *one)
{
    for (size_t i = 0; i < url->sentinel_count; i++)
        if (url->sentinels[i].port == one->port && strcmp(url->sentinels[i].host, one->host) == 0)
            return true;
    return false;
}

static bool add_sentinel(struct slice text, struct redis_url *url, char error[REDIS_URL_ERROR_MAX])
{
    struct redis_sentinel_url one = {0};
    if (url->sentinel_count == REDIS_SENTINELS_MAX)
        return refuse(error, "there are more Sentinels in it than can be asked (16)");
    if (!parse_address(text, SENTINEL_PORT, &one.host, &one.port, error))
        return false;
    if (is_listed(url, &one)) {
        free(one.host);
        return refuse(error, "it names a Sentinel twice");
    }
    url->sentinels[url->sentinel_count++] = one;
    return true;
}

// The characters that Redis allows in a master's name.
static bool is_service(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && c != '.' && c != '-' && c != '_')
            return false;
    }
    return s.len > 0;
}

static bool parse_sentinels(struct slice rest, struct redis_url *url,
                            char error[REDIS_URL_ERROR_MAX])
{
    struct slice hosts = slice_take(&rest, '/'), service = slice_take(&rest, '/');
    if (!take_credentials(&hosts, url, error))
        return false;
    url->sentinels = xcalloc(REDIS_SENTINELS_MAX, sizeof(*url->sentinels));
    do {
        if (!add_sentinel(slice_take(&hosts, ','), url, error))
            return false;
    } while (hosts.ptr != NULL);
    if (!is_service(service))
        return refuse(error, "what follows the Sentinels must be the master's name there, as in "
                             "/mymaster (letters, digits, . - _)");
    url->service = slice_dup(service);
    return parse_database(rest, url, error);
}

static bool parse_unix(struct slice path, struct redis_url *url, char error[REDIS_URL_ERROR_MAX])
{
    if (path.len < 2 || path.ptr[0] != '/')
        return refuse(error, "unix:// needs an absolute path, as in unix:///run/redis.sock");
    if (path.len >= sizeof(((struct sockaddr_un *)0)->sun_path) ||
        memchr(path.ptr, '\0', path.len) != NULL)
        return refuse(error, "the socket's path is longer than a socket's path can be");
    url->path = slice_dup(path);
    return true;
}

static bool parse(struct slice text, struct redis_url *url, char error[REDIS_URL_ERROR_MAX])
{
    static const struct slice tcp = {"redis://", 8}, local = {"unix://", 7},
                              sentinel = {"redis+sentinel://", 17};
    if (slice_starts_with(text, tcp))
        return parse_tcp(slice_skip(text, tcp.len), url, error);
    if (slice_starts_with(text, local))
        return parse_unix(slice_skip(text, local.len), url, error);
    if (slice_starts_with(text, sentinel))
        return parse_sentinels(slice_skip(text, sentinel.len), url, error);
    if (slice_starts_with(text, SLICE_LIT("rediss://")))
        return refuse(error, "rediss:// cannot be used, this build has no TLS to Redis: run a TLS "
                             "tunnel beside the program (deploy/redis/tls shows one) and give its "
                             "redis:// or unix:// address");
    return refuse(error, "expected redis://[user[:password]@]host[:port][/db], unix:///path or "
                         "redis+sentinel://[user[:password]@]host:port,host:port/service[/db]");
}

bool redis_url_parse(struct slice text, struct redis_url *out, char error[REDIS_URL_ERROR_MAX])
{
    struct redis_url url = {0};
    if (!parse(text, &url, error)) {
        redis_url_fini(&url);
        return false;
    }
    *out = url;
    return true;
}

void redis_url_set_password(struct redis_url *url, struct slice password)
{
    wipe(url->password);
    url->password = password.len > 0 ? slice_dup(password) : NULL;
}

void redis_url_fini(struct redis_url *url)
{
    for (size_t i = 0; i < url->sentinel_count; i++)
        free(url->sentinels[i].host);
    free(url->sentinels);
    free(url->service);
    free(url->host);
    free(url->path);
    free(url->user);
    wipe(url->password);
    *url = (struct redis_url){0};
}
