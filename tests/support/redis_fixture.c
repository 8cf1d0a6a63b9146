// SPDX-License-Identifier: Apache-2.0
// The server gets PDEATHSIG, so that it never outlives a test that crashed.
#include "tests/support/redis_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/support/test.h"

enum { START_MS = 10000, ARGUMENTS_MAX = 48, PORT_MIN = 12000, PORT_MAX = 32000 };

static bool is_free(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    assert_true(fd >= 0);
    bool bound = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return bound;
}

// Not one of those that the kernel gives to whoever connects (32768 and up): while
// the server is down between a kill and a restart, nobody else gets it.
static uint16_t free_port(void)
{
    uint16_t n;
    do {
        util_random(&n, sizeof(n));
        n = (uint16_t)(PORT_MIN + n % (PORT_MAX - PORT_MIN));
    } while (!is_free(n));
    return n;
}

static void run_server(const struct redis_fixture *f, pid_t parent)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", f->port);
    const char *argv[ARGUMENTS_MAX] = {
        "redis-server", "--port",       port,       "--bind",       "127.0.0.1", "--dir",
        f->directory,   "--save",       "",         "--appendonly", "no",        "--loglevel",
        "warning",      "--unixsocket", f->socket,  "--daemonize",  "no",        "--databases",
        "16",           "--logfile",    "redis.log"};
    size_t argc = 21;
    for (size_t i = 0; f->options != NULL && f->options[i] != NULL; i++) {
        if (argc + 1 >= ARGUMENTS_MAX)
            _exit(126);
        argv[argc++] = f->options[i];
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    // Its last words are in redis.log; a test's stderr may be a pipe of ours.
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void connect_client(struct redis_fixture *f)
{
    if (f->client != NULL)
        redisFree(f->client);
    struct timeval timeout = {.tv_sec = 10};
    f->client = redisConnectUnixWithTimeout(f->socket, timeout);
    if (f->client != NULL && f->client->err == 0)
        redisSetTimeout(f->client, timeout);
}

static bool answers(struct redis_fixture *f)
{
    connect_client(f);
    if (f->client == NULL || f->client->err != 0)
        return false;
    redisReply *pong = redisCommand(f->client, "PING");
    // With a password asked for it is up, too.
    bool up =
        pong != NULL && (pong->type == REDIS_REPLY_STATUS || strncmp(pong->str, "NOAUTH", 6) == 0);
    freeReplyObject(pong);
    return up;
}

static void spawn(struct redis_fixture *f)
{
    uint64_t end = clock_boot_ms() + START_MS;
    pid_t parent = getpid();
    fflush(NULL);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0)
        run_server(f, parent);
    while (!answers(f)) {
        int status;
        if (waitpid(f->pid, &status, WNOHANG) == f->pid) {
            f->pid = 0;
            fail_msg("redis-server ended at once (status %d)", status);
        }
        if (clock_boot_ms() > end)
            fail_msg("redis-server does not answer on port %u", f->port);
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    }
}

void redis_fixture_start(struct redis_fixture *f, const char *const *options)
{
    *f = (struct redis_fixture){.options = options};
    strcpy(f->directory, "/tmp/cm-redis-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->socket, sizeof(f->socket), "%s/redis.sock", f->directory);
    f->port = free_port();
    snprintf(f->url, sizeof(f->url), "redis://127.0.0.1:%u", f->port);
    spawn(f);
}

static void end(struct redis_fixture *f, int signal_number)
{
    if (f->client != NULL)
        redisFree(f->client);
    f->client = NULL;
    if (f->pid == 0)
        return;
    kill(f->pid, signal_number);
    kill(f->pid, SIGCONT);
    while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    f->pid = 0;
}

void redis_fixture_kill(struct redis_fixture *f)
{
    end(f, SIGKILL);
}

void redis_fixture_shutdown(struct redis_fixture *f)
{
    end(f, SIGTERM);
}

void redis_fixture_restart(struct redis_fixture *f)
{
    assert_int_equal(f->pid, 0);
    spawn(f);
}

void redis_fixture_pause(struct redis_fixture *f)
{
    assert_int_equal(kill(f->pid, SIGSTOP), 0);
}

void redis_fixture_resume(struct redis_fixture *f)
{
    assert_int_equal(kill(f->pid, SIGCONT), 0);
}

void redis_fixture_stop(struct redis_fixture *f)
{
    char command[96];
    end(f, SIGKILL);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
    assert_int_equal(system(command), 0);
}

static redisReply *ask(struct redis_fixture *f, const char *format, va_list args)
{
    if (f->client == NULL || f->client->err != 0)
        connect_client(f);
    redisReply *reply = redisvCommand(f->client, format, args);
    if (reply == NULL)
        fail_msg("no answer to '%s': %s", format, f->client->errstr);
    return reply;
}

struct redisReply *redis_fixture_command(struct redis_fixture *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(f, format, args);
    va_end(args);
    return reply;
}

void redis_fixture_do(struct redis_fixture *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(f, format, args);
    va_end(args);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("'%s': %s", format, reply->str);
    freeReplyObject(reply);
}

long long redis_fixture_integer(struct redis_fixture *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(f, format, args);
    va_end(args);
    long long n = reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : reply->integer;
    freeReplyObject(reply);
    return n;
}

const char *redis_fixture_text(struct redis_fixture *f, const char *format, ...)
{
    static char text[257];
    va_list args;
    va_start(args, format);
    redisReply *reply = ask(f, format, args);
    va_end(args);
    text[0] = '\0';
    if (reply->str != NULL)
        snprintf(text, sizeof(text), "%s", reply->str);
    freeReplyObject(reply);
    return text;
}
