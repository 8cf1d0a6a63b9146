// SPDX-License-Identifier: Apache-2.0
// A directory of our own for what must survive the process: whole files that are
// replaced atomically in two generations, files that are appended to, and locks.
// Everything here blocks on the disk.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"

struct state_dir {
    int fd; // -1 = closed
};

enum { STATE_NAME_MAX = 64 };

// Opens path, and makes it (0700) where its parent exists. 0, or a negative errno:
// -EPERM for a directory that is another user's or that others may write to,
// -ELOOP for a symbolic link. On error *d is closed.
CM_MUST_CHECK int state_dir_open(struct state_dir *d, const char *path);
void state_dir_close(struct state_dir *d);

// Appends the file's bytes to out. 0, -ENOENT, -EFBIG above max, -EPERM for what
// is not a regular file of our own, or another negative errno.
CM_MUST_CHECK int state_dir_read(const struct state_dir *d, const char *name, size_t max,
                                 struct buf *out);

// Replaces a file as a whole: written aside (0600), synced, the former one kept as
// "<name>.1", renamed, the directory synced. Killed at any point, it leaves the new
// file, the old one, or the old one as "<name>.1". 0 or a negative errno; then what
// was there is still there.
CM_MUST_CHECK int state_dir_replace(const struct state_dir *d, const char *name,
                                    struct slice bytes);
// The last part of it alone: "<name>.new" was written and is whole.
CM_MUST_CHECK int state_dir_install(const struct state_dir *d, const char *name);

// A file of ours (0600) to be written from its end on; made if need be, emptied
// with `fresh`. A descriptor or a negative errno.
CM_MUST_CHECK int state_dir_append_to(const struct state_dir *d, const char *name, bool fresh);
// A file of ours to be read and written anywhere; made (0600) with `make`, else it has
// to be there. A descriptor or a negative errno (-ENOENT).
CM_MUST_CHECK int state_dir_edit(const struct state_dir *d, const char *name, bool make);
// Cuts a file of ours to that size. 0 or a negative errno.
CM_MUST_CHECK int state_dir_cut(const struct state_dir *d, const char *name, size_t size);
// Takes the file of that name away, if there is one.
void state_dir_remove(const struct state_dir *d, const char *name);
// Writes all of it. 0 or a negative errno.
CM_MUST_CHECK int state_dir_write(int fd, struct slice bytes);

// Takes the lock of that name for as long as the descriptor is open: a descriptor,
// or a negative errno (-EWOULDBLOCK: another process has it).
CM_MUST_CHECK int state_dir_lock(const struct state_dir *d, const char *name);

// Calls with the name of every file that starts so, in no order.
void state_dir_list(const struct state_dir *d, const char *prefix,
                    void (*on_name)(void *ctx, const char *name), void *ctx);
