// SPDX-License-Identifier: Apache-2.0
// For people and for the audit log, not for patching: arrays are shown whole,
// because "the aliases were these and are those" reads better than moves.
#include "admin/json_diff.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/model/doc.h"

// RFC 6901: "~" and "/" inside a name are escaped.
void json_diff_path(struct buf *path, struct slice name)
{
    buf_append_char(path, '/');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '~')
            buf_append_str(path, "~0");
        else if (name.ptr[i] == '/')
            buf_append_str(path, "~1");
        else
            buf_append_char(path, name.ptr[i]);
    }
}

void json_diff_add(json_t *list, struct slice path, const json_t *before, const json_t *after)
{
    json_t *entry = json_object();
    const char *op = before == NULL ? "add" : after == NULL ? "remove" : "replace";
    json_object_set_new(entry, "op", json_string(op));
    json_object_set_new(entry, "path", json_stringn(path.ptr, path.len));
    if (before != NULL)
        json_object_set(entry, "old", (json_t *)(uintptr_t)before);
    if (after != NULL)
        json_object_set(entry, "value", (json_t *)(uintptr_t)after);
    json_array_append_new(list, entry);
}

static void walk(json_t *list, struct buf *path, const json_t *before, const json_t *after,
                 const char *skip);

static void compare(json_t *list, struct buf *path, const char *name, const json_t *before,
                    const json_t *after)
{
    size_t len = path->len;
    json_diff_path(path, slice_of(name));
    if (json_is_object(before) && json_is_object(after))
        walk(list, path, before, after, NULL);
    else if (before == NULL || after == NULL || !json_equal(before, after))
        json_diff_add(list, buf_slice(path), before, after);
    path->len = len;
}

static void walk(json_t *list, struct buf *path, const json_t *before, const json_t *after,
                 const char *skip)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)before, name,
                        value) if (skip == NULL || strcmp(name, skip) != 0)
        compare(list, path, name, value, json_object_get(after, name));
    json_object_foreach((json_t *)(uintptr_t)after, name,
                        value) if ((skip == NULL || strcmp(name, skip) != 0) &&
                                   json_object_get(before, name) == NULL)
        compare(list, path, name, NULL, value);
}

void json_diff_objects(json_t *list, const char *base, const json_t *before, const json_t *after,
                       const char *skip)
{
    struct buf path = {.len = 0};
    buf_append_str(&path, base);
    walk(list, &path, before, after, skip);
    buf_fini(&path);
}
