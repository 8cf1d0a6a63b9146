// SPDX-License-Identifier: Apache-2.0
// JSON lines on stderr that never block.
//
// fd 2 may be a pipe that nobody reads, shared with other processes, so its
// flags are not ours to change. log_init opens it anew through /proc with
// O_NONBLOCK, which gives this process its own file description; where that is
// not possible (a socket), each write is asked for with poll first. A line that
// does not fit is dropped and counted: one write(2) a line, so lines of several
// processes never mix (4,096 = PIPE_BUF).
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { LINE_MAX_BYTES = 4096, TAIL_ROOM = 24 };

static struct {
    const char *program, *instance;
    enum log_level level;
    int fd;
    bool must_poll;
    uint64_t dropped;
} sink = {.program = "", .instance = NULL, .level = LOG_LEVEL_INFO, .fd = 2, .must_poll = true};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(const char *program, const char *instance)
{
    sink.program = program;
    sink.instance = instance;
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0) {
        sink.fd = fd;
        sink.must_poll = false;
    }
}

void log_set_level(enum log_level level)
{
    sink.level = level;
}

enum log_level log_level(void)
{
    return sink.level;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_change_level(enum log_level level)
{
    enum log_level before = sink.level;
    if (level == before)
        return;
    sink.level = LOG_LEVEL_INFO;
    LOG_INFO("log_level", LOG_CSTR("was", level_names[before]), LOG_CSTR("is", level_names[level]));
    sink.level = level;
}

uint64_t log_dropped(void)
{
    return sink.dropped;
}

struct line {
    size_t len;
    char text[LINE_MAX_BYTES];
};

static void put(struct line *l, const char *text, size_t len)
{
    size_t room = LINE_MAX_BYTES - TAIL_ROOM - l->len;
    if (len > room)
        len = room;
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

// A JSON string cut so that the line stays whole JSON.
static void put_string(struct line *l, struct slice s)
{
    s.len = slice_utf8_cut(s, 1024);
    put(l, "\"", 1);
    for (size_t i = 0; i < s.len && l->len + 8 < LINE_MAX_BYTES - TAIL_ROOM;) {
        unsigned char c = (unsigned char)s.ptr[i];
        struct slice rest = slice_skip(s, i);
        size_t step = 1;
        char escaped[8];
        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = (char)c;
            put(l, escaped, 2);
        } else if (c < 0x20 || c == 0x7F) {
            snprintf(escaped, sizeof(escaped), "\\u%04x", c);
            put(l, escaped, 6);
        } else if (c < 0x80) {
            put(l, s.ptr + i, 1);
        } else {
            while (step < 4 && step < rest.len && ((unsigned char)rest.ptr[step] & 0xC0) == 0x80)
                step++;
            if (slice_is_utf8(slice_make(rest.ptr, step)))
                put(l, rest.ptr, step);
            else
                put(l, "\xEF\xBF\xBD", 3);
        }
        i += step;
    }
    l->text[l->len++] = '"'; // TAIL_ROOM keeps this in bounds
}

static void put_member(struct line *l, const char *name, struct slice value)
{
    put(l, ",\"", 2);
    put(l, name, strlen(name));
    put(l, "\":", 2);
    put_string(l, value);
}

static void put_field(struct line *l, const struct log_field *f)
{
    char number[32];
    int len = 0;
    if (f->kind == LOG_FIELD_STR) {
        put_member(l, f->name, f->value.str);
        return;
    }
    if (f->kind == LOG_FIELD_I64)
        len = snprintf(number, sizeof(number), "%" PRId64, f->value.i64);
    else if (f->kind == LOG_FIELD_U64)
        len = snprintf(number, sizeof(number), "%" PRIu64, f->value.u64);
    else
        len = snprintf(number, sizeof(number), "%s", f->value.u64 != 0 ? "true" : "false");
    put(l, ",\"", 2);
    put(l, f->name, strlen(f->name));
    put(l, "\":", 2);
    put(l, number, (size_t)len);
}

static void put_prologue(struct line *l, enum log_level level, const char *event)
{
    int64_t now = clock_wall_ms();
    char millis[8], stamp[CLOCK_RFC3339_MAX];
    snprintf(millis, sizeof(millis), ".%03dZ", (int)(now % 1000));
    clock_format_rfc3339(now / 1000, millis, stamp);
    put(l, "{\"ts\":\"", 7);
    put(l, stamp, strlen(stamp));
    put(l, "\"", 1);
    put_member(l, "level", slice_of(level_names[level]));
    put_member(l, "program", slice_of(sink.program));
    if (sink.instance != NULL)
        put_member(l, "instance", slice_of(sink.instance));
    put_member(l, "event", slice_of(event));
}

static void emit(const struct line *l)
{
    struct pollfd ready = {.fd = sink.fd, .events = POLLOUT};
    if (sink.must_poll && (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0)) {
        sink.dropped++;
        return;
    }
    ssize_t sent;
    do
        sent = write(sink.fd, l->text, l->len);
    while (sent < 0 && errno == EINTR);
    if (sent != (ssize_t)l->len)
        sink.dropped++;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if (level < sink.level)
        return;
    struct line l = {.len = 0};
    put_prologue(&l, level, event);
    for (const struct log_field *f = fields; f->kind != LOG_FIELD_END; f++) {
        // A field that no longer fits whole is left out, never half written.
        if (l.len + strlen(f->name) + 48 > LINE_MAX_BYTES - TAIL_ROOM)
            break;
        put_field(&l, f);
    }
    l.text[l.len++] = '}';
    l.text[l.len++] = '\n';
    emit(&l);
}
