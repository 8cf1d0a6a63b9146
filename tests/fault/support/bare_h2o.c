// SPDX-License-Identifier: Apache-2.0
// libh2o as it comes, with HTTP/2 on and nothing of ours around it: what the
// attacks of this folder do to a server without a guard. An attack that cannot
// kill this one shows nothing when it cannot kill cm-models.
//
//   bare_h2o [certificate and key file]
//
// prints "port <n>" and serves until it is killed: /small (100 bytes), /large
// (150,000 bytes), 404 for the rest; with a file, over TLS.
#include <h2o.h>
#include <h2o/http1.h>
#include <h2o/http2.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { SMALL = 100, LARGE = 150000 };

static h2o_globalconf_t config;
static h2o_context_t context;
static h2o_accept_ctx_t accept_context;

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    static char body[LARGE];
    static h2o_generator_t generator = {NULL, NULL};
    (void)self;
    size_t len = h2o_memis(req->path.base, req->path.len, H2O_STRLIT("/small"))   ? SMALL
                 : h2o_memis(req->path.base, req->path.len, H2O_STRLIT("/large")) ? LARGE
                                                                                  : 0;
    memset(body, '.', sizeof(body));
    req->res.status = len > 0 ? 200 : 404;
    req->res.content_length = len;
    h2o_start_response(req, &generator);
    h2o_iovec_t part = h2o_iovec_init(body, len);
    h2o_send(req, &part, len > 0 ? 1 : 0, H2O_SEND_STATE_FINAL);
    return 0;
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *tcp = malloc(sizeof(*tcp));
    if (status != 0 || tcp == NULL)
        abort();
    uv_tcp_init(listener->loop, tcp);
    if (uv_accept(listener, (uv_stream_t *)tcp) != 0) {
        uv_close((uv_handle_t *)tcp, (uv_close_cb)free);
        return;
    }
    h2o_accept(&accept_context, h2o_uv_socket_create((uv_stream_t *)tcp, (uv_close_cb)free));
}

static void use_tls(const char *file)
{
    accept_context.ssl_ctx = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(accept_context.ssl_ctx, file) != 1 ||
        SSL_CTX_use_PrivateKey_file(accept_context.ssl_ctx, file, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "%s: no certificate or no key\n", file);
        exit(2);
    }
    h2o_ssl_register_alpn_protocols(accept_context.ssl_ctx, h2o_http2_alpn_protocols);
}

static void listen_anywhere(uv_loop_t *loop, uv_tcp_t *listener)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in bound;
    int len = sizeof(bound);
    uv_tcp_init(loop, listener);
    if (uv_tcp_bind(listener, (struct sockaddr *)&any, 0) != 0 ||
        uv_listen((uv_stream_t *)listener, 1024, on_connection) != 0 ||
        uv_tcp_getsockname(listener, (struct sockaddr *)&bound, &len) != 0)
        abort();
    printf("port %d\n", ntohs(bound.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    signal(SIGPIPE, SIG_IGN);
    h2o_config_init(&config);
    h2o_hostconf_t *host =
        h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req =
        on_request;
    h2o_context_init(&context, loop, &config);
    accept_context = (h2o_accept_ctx_t){.ctx = &context, .hosts = config.hosts};
    if (argc > 1)
        use_tls(argv[1]);
    listen_anywhere(loop, &listener);
    return uv_run(loop, UV_RUN_DEFAULT);
}
