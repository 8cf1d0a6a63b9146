// SPDX-License-Identifier: Apache-2.0
// Files are named relative to the directory's descriptor, opened without following
// links and only if they are regular and ours, so that nobody who may write next to
// us can make us read or overwrite something else.
//
// A replaced file is never missing for a reader who looks at both generations: the
// former one is linked to "<name>.1" before the new one takes its place.
#include "common/base/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_ROOM = STATE_NAME_MAX + 8 };

static int close_with(int fd, int error)
{
    close(fd);
    return error;
}

static int check_dir(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    return st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 ? 0 : -EPERM;
}

int state_dir_open(struct state_dir *d, const char *path)
{
    d->fd = -1;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR ? -ELOOP : -errno;
    int error = check_dir(fd);
    if (error != 0)
        return close_with(fd, error);
    d->fd = fd;
    return 0;
}

void state_dir_close(struct state_dir *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

static int open_own(const struct state_dir *d, const char *name, int flags)
{
    struct stat st;
    int fd = openat(d->fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0)
        return close_with(fd, -errno);
    return S_ISREG(st.st_mode) && st.st_uid == geteuid() ? fd : close_with(fd, -EPERM);
}

static int read_all(int fd, size_t max, struct buf *out)
{
    for (size_t total = 0;;) {
        buf_reserve(out, 64 * 1024);
        ssize_t got = read(fd, out->ptr + out->len, 64 * 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        out->len += (size_t)got;
        total += (size_t)got;
        if (total > max)
            return -EFBIG;
    }
}

int state_dir_read(const struct state_dir *d, const char *name, size_t max, struct buf *out)
{
    int fd = open_own(d, name, O_RDONLY);
    return fd < 0 ? fd : close_with(fd, read_all(fd, max, out));
}

static void name_of(char out[NAME_ROOM], const char *name, const char *suffix)
{
    int len = snprintf(out, NAME_ROOM, "%s%s", name, suffix);
    CM_ASSERT(len > 0 && len < NAME_ROOM);
}

int state_dir_install(const struct state_dir *d, const char *name)
{
    char fresh[NAME_ROOM], old[NAME_ROOM];
    name_of(fresh, name, ".new");
    name_of(old, name, ".1");
    if (unlinkat(d->fd, old, 0) != 0 && errno != ENOENT)
        return -errno;
    if (linkat(d->fd, name, d->fd, old, 0) != 0 && errno != ENOENT)
        return -errno;
    if (renameat(d->fd, fresh, d->fd, name) != 0 || fsync(d->fd) != 0)
        return -errno;
    return 0;
}

int state_dir_replace(const struct state_dir *d, const char *name, struct slice bytes)
{
    char fresh[NAME_ROOM];
    name_of(fresh, name, ".new");
    int fd = state_dir_append_to(d, fresh, true);
    if (fd < 0)
        return fd;
    int error = state_dir_write(fd, bytes);
    if (error == 0 && fsync(fd) != 0)
        error = -errno;
    if (close(fd) != 0 && error == 0)
        error = -errno;
    return error != 0 ? error : state_dir_install(d, name);
}

int state_dir_append_to(const struct state_dir *d, const char *name, bool fresh)
{
    int fd = open_own(d, name, O_WRONLY | O_APPEND | O_CREAT);
    if (fd < 0 || !fresh || ftruncate(fd, 0) == 0)
        return fd;
    return close_with(fd, -errno);
}

int state_dir_edit(const struct state_dir *d, const char *name, bool make)
{
    return open_own(d, name, O_RDWR | (make ? O_CREAT : 0));
}

int state_dir_cut(const struct state_dir *d, const char *name, size_t size)
{
    int fd = open_own(d, name, O_WRONLY);
    if (fd < 0)
        return fd;
    return close_with(fd, ftruncate(fd, (off_t)size) == 0 ? 0 : -errno);
}

void state_dir_remove(const struct state_dir *d, const char *name)
{
    (void)unlinkat(d->fd, name, 0);
}

int state_dir_write(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno != EINTR)
            return -errno;
        if (put > 0)
            bytes = slice_skip(bytes, (size_t)put);
    }
    return 0;
}

int state_dir_lock(const struct state_dir *d, const char *name)
{
    int fd = open_own(d, name, O_WRONLY | O_CREAT);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    return close_with(fd, -errno);
}

void state_dir_list(const struct state_dir *d, const char *prefix,
                    void (*on_name)(void *ctx, const char *name), void *ctx)
{
    int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            strlen(entry->d_name) <= STATE_NAME_MAX)
            on_name(ctx, entry->d_name);
    closedir(dir);
}
