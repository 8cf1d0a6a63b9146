// SPDX-License-Identifier: Apache-2.0
// HTTP/1 taken at its word (RFC 9112). libh2o's parser is lenient where two
// readers of the same bytes could disagree about where a request ends, which is
// what request smuggling lives on. So its parser's findings pass through here.
//
// Two grades: what may not even be framed as we think (a bare line feed, a folded
// line) does not parse: libh2o says so in its own words and closes. A head that is
// well framed but contradicts itself or the standard (two lengths, no Host, a method
// that is no token) is refused by our own 400, one beyond its limit by 431 as soon as
// it is seen to be; then libh2o is shown no body, and the connection ends with the
// answer, so nothing after it is ever read as a request.
#include <string.h>
#include <strings.h>

#include "common/http/http_private.h"
#include "common/http/library.h"

// picohttpparser's, which is inside libh2o and not in its headers.
struct phr_header {
    const char *name; // NULL in a folded line
    size_t name_len;
    const char *value;
    size_t value_len;
};
int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *header_count, size_t last_len);

static __typeof__(phr_parse_request) *real_parse;

__attribute__((constructor)) static void find_real(void)
{
    library_behind("phr_parse_request", &real_parse);
}

bool strict_is_in_place(void)
{
    static const char *const names[] = {"phr_parse_request", NULL};
    return library_is_overruled(names);
}

struct head {
    struct slice method, target;
    int minor_version;
    struct phr_header *headers;
    size_t *count;
};

// -- the pieces -------------------------------------------------------------

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Letters, digits and what else belongs to a kind of text.
struct charset {
    bool holds[256];
};

static struct charset method_chars, host_chars;

static void fill(struct charset *set, const char *others)
{
    for (unsigned c = 0; c < CM_ARRAY_LEN(set->holds); c++)
        set->holds[c] = is_alnum((char)c);
    for (; *others != '\0'; others++)
        set->holds[(unsigned char)*others] = true;
}

__attribute__((constructor)) static void fill_all(void)
{
    fill(&method_chars, "!#$%&'*+-.^_`|~");
    fill(&host_chars, "-._~!$&'()*+,;=:%[]");
}

static bool is_all(const char *text, size_t len, const struct charset *set)
{
    for (size_t i = 0; i < len; i++)
        if (!set->holds[(unsigned char)text[i]])
            return false;
    return true;
}

bool strict_is_method(const char *method, size_t len)
{
    return len > 0 && is_all(method, len, &method_chars);
}

bool strict_is_target(const char *method, size_t method_len, const char *target, size_t len)
{
    struct slice verb = slice_make(method, method_len), t = slice_make(target, len);
    if (len == 0 || memchr(target, ' ', len) != NULL)
        return false;
    if (target[0] == '/')
        return true;
    if (slice_equal(verb, SLICE_LIT("CONNECT")))
        return true;
    if (slice_equal(t, SLICE_LIT("*")))
        return slice_equal(verb, SLICE_LIT("OPTIONS"));
    return (len > 7 && strncasecmp(target, "http://", 7) == 0) ||
           (len > 8 && strncasecmp(target, "https://", 8) == 0);
}

static bool is_host(struct slice value)
{
    return is_all(value.ptr, value.len, &host_chars);
}

static bool is_named(const struct phr_header *h, struct slice name)
{
    return h->name_len == name.len && strncasecmp(h->name, name.ptr, name.len) == 0;
}

// -- the head as a whole ----------------------------------------------------

static bool ends_by_crlf(const char *end)
{
    return end[0] == '\r';
}

// Every line ends in CRLF, and no line goes on in the next.
static bool is_framed(const char *buf, int taken, const struct head *h)
{
    const char *version = h->target.ptr + h->target.len + 1; // "HTTP/1.x"
    bool ok = (h->method.ptr == buf || ends_by_crlf(buf)) && ends_by_crlf(version + 8) &&
              ends_by_crlf(buf + taken - 2);
    for (size_t i = 0; ok && i < *h->count; i++)
        ok = h->headers[i].name != NULL &&
             ends_by_crlf(h->headers[i].value + h->headers[i].value_len);
    return ok;
}

static bool makes_sense(const struct head *h)
{
    unsigned hosts = 0, lengths = 0, codings = 0;
    bool host_ok = true;
    for (size_t i = 0; i < *h->count; i++) {
        const struct phr_header *at = &h->headers[i];
        if (is_named(at, SLICE_LIT("host"))) {
            hosts++;
            host_ok = is_host(slice_trim(slice_make(at->value, at->value_len)));
        }
        lengths += is_named(at, SLICE_LIT("content-length"));
        codings += is_named(at, SLICE_LIT("transfer-encoding"));
    }
    return h->minor_version <= 1 && hosts <= 1 && host_ok && hosts >= (unsigned)h->minor_version &&
           lengths + codings <= 1 && codings <= (unsigned)h->minor_version &&
           strict_is_method(h->method.ptr, h->method.len) &&
           strict_is_target(h->method.ptr, h->method.len, h->target.ptr, h->target.len);
}

static void hide(struct head *h, struct slice name)
{
    size_t kept = 0;
    for (size_t i = 0; i < *h->count; i++)
        if (!is_named(&h->headers[i], name))
            h->headers[kept++] = h->headers[i];
    *h->count = kept;
}

static void refuse(struct conn *conn, struct head *h, int status)
{
    conn->refuse = (struct refusal){.status = status};
    hide(h, SLICE_LIT("content-length"));
    hide(h, SLICE_LIT("transfer-encoding"));
}

static bool is_http2_preface(const struct conn *conn, const char *buf, size_t len)
{
    const struct slice start = SLICE_LIT("PRI * HTTP/2");
    return conn->server->config.http1.upgrade_to_http2 &&
           slice_starts_with(slice_make(buf, len), start);
}

// The answer must not be destroyed by what the client goes on sending.
static int unparsable(struct conn *conn, const char *buf, size_t len)
{
    if (!is_http2_preface(conn, buf, len))
        conn_prepare_linger(conn);
    return -1;
}

int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *header_count, size_t last_len)
{
    struct conn *conn = intake_conn(buf);
    const size_t fields_max = *header_count;
    int taken = real_parse(buf, len, method, method_len, path, path_len, minor_version, headers,
                           header_count, last_len);
    if (taken == -2 && len < GUARD_HEAD_MAX)
        return -2;
    bool is_long = taken == -2 || taken > GUARD_HEAD_MAX, is_cut = taken == -2;
    if (is_cut) { // what is here of it says to whom the answer goes
        *header_count = fields_max;
        (void)real_parse(buf, len, method, method_len, path, path_len, minor_version, headers,
                         header_count, 0);
        taken = *minor_version < 0 ? -1 : (int)len;
    }
    if (taken < 0)
        return unparsable(conn, buf, len);
    struct head h = {.method = slice_make(*method, *method_len),
                     .target = slice_make(*path, *path_len),
                     .minor_version = *minor_version,
                     .headers = headers,
                     .count = header_count};
    if (!is_cut && !is_framed(buf, taken, &h))
        return unparsable(conn, buf, len);
    conn->head_done = true;
    conn->refuse.status = 0;
    if (is_long)
        refuse(conn, &h, 431);
    else if (!makes_sense(&h))
        refuse(conn, &h, 400);
    // RFC 9110, 10.1.1: HTTP/1.0 does not know the expectation.
    if (*minor_version == 0 || conn->refuse.status != 0)
        hide(&h, SLICE_LIT("expect"));
    return taken;
}
