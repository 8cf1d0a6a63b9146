// SPDX-License-Identifier: Apache-2.0
// A client that says almost the right thing, again and again: connections with bursts
// of HTTP/2 frames or of HTTP/1 requests, made by the rules and then spoiled in places.
//
//   fuzz_client h1|h2 <port> <bursts> <seed> <authorization value> <path> <its length>
//
// Each burst is a function of seed and its number alone, so a finding can be repeated:
// "fuzz_client h2 <port> 1 <seed> ... <number>" sends that one again. It ends with 1 when
// the server does not take a connection for PATIENCE_S: long, because a machine that
// stands still for a moment lets the queue of a listener run full, and the kernel
// then asks again after 1, 3 and 7 seconds.
#include "fuzz_burst.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEPTH = 16, PATIENCE_S = 20 };

// Many source addresses, so that ports do not run out.
static int connect_to(uint16_t port, uint64_t number)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr = {htonl(0x7f000002 + (uint32_t)(number % 1000))}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        return -1;
    struct timeval patience = {PATIENCE_S, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        return -1;
    return fd;
}

static void drain(int fd, int ms)
{
    char bytes[65536];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (poll(&poll_fd, 1, ms) > 0 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

// In one piece or in several, reading in between or not.
static void send_burst(int fd)
{
    size_t at = 0;
    while (at < burst_used) {
        size_t piece = once_in(3) ? 1 + draw((uint32_t)(burst_used - at)) : burst_used - at;
        ssize_t sent = send(fd, burst + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return;
        at += (size_t)sent;
        if (at < burst_used && once_in(2))
            drain(fd, once_in(8) ? 1 : 0);
    }
}

// Most connections stay open a little, beside those that come after them.
static void end_connection(int fd)
{
    struct linger reset = {1, 0};
    if (once_in(3))
        drain(fd, 0);
    if (once_in(2))
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    else if (once_in(2))
        shutdown(fd, SHUT_WR);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc < 8) {
        fprintf(stderr, "usage: %s h1|h2 port bursts seed authorization path length [number]\n",
                argv[0]);
        return 2;
    }
    uint16_t port = (uint16_t)atoi(argv[2]);
    uint64_t count = strtoull(argv[3], NULL, 10), seed = strtoull(argv[4], NULL, 0);
    uint64_t first = argc > 8 ? strtoull(argv[8], NULL, 10) : 0;
    burst_target = (struct burst_target){argv[5], argv[6], (uint32_t)strtoul(argv[7], NULL, 10)};
    int open[DEPTH];
    for (size_t i = 0; i < DEPTH; i++)
        open[i] = -1;
    for (uint64_t n = first; n < first + count; n++) {
        burst_begin(seed, n);
        int fd = connect_to(port, n);
        if (fd < 0) {
            fprintf(stderr, "burst %llu: %s\n", (unsigned long long)n, strerror(errno));
            return 1;
        }
        if (strcmp(argv[1], "h2") == 0)
            burst_make_h2();
        else
            burst_make_h1();
        burst_spoil();
        send_burst(fd);
        if (open[n % DEPTH] >= 0)
            end_connection(open[n % DEPTH]);
        open[n % DEPTH] = fd;
    }
    for (size_t i = 0; i < DEPTH; i++)
        if (open[i] >= 0)
            end_connection(open[i]);
    return 0;
}
