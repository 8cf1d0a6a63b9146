// SPDX-License-Identifier: Apache-2.0
// The yardstick: libh2o and one constant answer, nothing else. It reads an answer
// from a file (a status line, header lines, an empty line, the body) and gives it
// to every request over HTTP/1.1 and HTTP/2, as cheaply as the library can: the
// header list is a constant array, the body one constant slice. Where our own
// server is dearer, that is what it does beyond the library.
//
// usage: constant_h2o ADDRESS:PORT FILE
#include <h2o.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/http/bind.h"

_Static_assert(H2O_USE_LIBUV == 1 && sizeof(h2o_context_t) == 2016, "libh2o 2.2.5 for uv");

enum { HEADERS_MAX = 32 };

struct bare_answer {
    int status;
    char reason[64];
    size_t header_count;
    h2o_iovec_t names[HEADERS_MAX];
    h2o_header_t headers[HEADERS_MAX];
    h2o_iovec_t body;
    size_t length; // SIZE_MAX for a status that has none
};

static struct bare_answer answer;
static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_ctx;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "constant_h2o: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

// -- the answer ---------------------------------------------------------------

static struct slice read_file(const char *path)
{
    struct buf text = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail("cannot open the answer", path);
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        buf_append(&text, chunk, n);
    fclose(file);
    return buf_keep(&text);
}

static h2o_iovec_t iovec_of(struct slice s)
{
    return h2o_iovec_init(s.ptr, s.len);
}

// A known name must be the library's token, or HTTP/2 would spell it out.
static void add_header(struct slice name, struct slice value)
{
    size_t i = answer.header_count++;
    if (i == HEADERS_MAX)
        fail("too many headers", "in the answer");
    const h2o_token_t *token = h2o_lookup_token(name.ptr, name.len);
    answer.names[i] = iovec_of(name);
    answer.headers[i].name =
        token != NULL ? (h2o_iovec_t *)(uintptr_t)&token->buf : &answer.names[i];
    answer.headers[i].value = iovec_of(value);
}

static void parse_answer(struct slice rest)
{
    struct slice line = slice_take(&rest, '\n');
    answer.status = atoi(line.ptr);
    (void)slice_take(&line, ' ');
    snprintf(answer.reason, sizeof(answer.reason), "%.*s", (int)line.len, line.ptr);
    for (line = slice_take(&rest, '\n'); line.len > 0; line = slice_take(&rest, '\n')) {
        struct slice name = slice_take(&line, ':');
        add_header(name, slice_trim(line));
    }
    answer.body = iovec_of(rest);
    answer.length = answer.status == 204 || answer.status == 304 ? SIZE_MAX : rest.len;
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    (void)self;
    static h2o_generator_t generator = {NULL, NULL};
    req->res.status = answer.status;
    req->res.reason = answer.reason;
    req->res.content_length = answer.length;
    req->res.headers.entries = answer.headers;
    req->res.headers.size = answer.header_count;
    req->res.headers.capacity = answer.header_count;
    h2o_start_response(req, &generator);
    h2o_send(req, &answer.body, answer.body.len > 0, H2O_SEND_STATE_FINAL);
    return 0;
}

// -- the server ---------------------------------------------------------------

static void on_connection(uv_stream_t *listener, int status)
{
    if (status != 0)
        return;
    uv_tcp_t *tcp = h2o_mem_alloc(sizeof(*tcp));
    uv_tcp_init(listener->loop, tcp);
    if (uv_accept(listener, (uv_stream_t *)tcp) != 0) {
        uv_close((uv_handle_t *)tcp, (uv_close_cb)free);
        return;
    }
    h2o_accept(&accept_ctx, h2o_uv_socket_create((uv_stream_t *)tcp, (uv_close_cb)free));
}

static void configure(uv_loop_t *loop)
{
    h2o_config_init(&config);
    config.server_name = h2o_iovec_init(NULL, 0);
    config.http1.req_timeout = 75000;
    h2o_hostconf_t *host =
        h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_request;
    h2o_context_init(&context, loop, &config);
    accept_ctx.ctx = &context;
    accept_ctx.hosts = config.hosts;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("usage", "constant_h2o ADDRESS:PORT FILE");
    signal(SIGPIPE, SIG_IGN);
    parse_answer(read_file(argv[2]));
    uv_loop_t loop;
    uv_loop_init(&loop);
    configure(&loop);
    int fd = server_bind(argv[1], false, BIND_BACKLOG);
    if (fd < 0)
        fail(argv[1], strerror(-fd));
    uv_tcp_t listener;
    uv_tcp_init(&loop, &listener);
    if (uv_tcp_open(&listener, fd) != 0 ||
        uv_listen((uv_stream_t *)&listener, BIND_BACKLOG, on_connection) != 0)
        fail(argv[1], "cannot listen");
    return uv_run(&loop, UV_RUN_DEFAULT);
}
