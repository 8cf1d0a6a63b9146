// SPDX-License-Identifier: Apache-2.0
// The entry is built from what the API shows, which holds no secret and no hash;
// it is written in the same atomic step as the change itself, so there is no
// change without one.
#include "admin/audit.h"

#include "common/base/clock.h"
#include "common/model/doc.h"

static void add_diff(json_t *entry, const json_t *diff)
{
    size_t count = json_array_size(diff);
    json_t *kept = json_array();
    for (size_t i = 0; i < count && i < AUDIT_DIFF_MAX; i++)
        json_array_append(kept, json_array_get(diff, i));
    json_object_set_new(entry, "diff", kept);
    if (count > AUDIT_DIFF_MAX)
        json_object_set_new(entry, "diff_left_out",
                            json_integer((json_int_t)(count - AUDIT_DIFF_MAX)));
}

void audit_write(struct buf *out, const struct audit *a)
{
    char at[CLOCK_RFC3339_MAX];
    json_t *entry = json_object();
    clock_format_rfc3339(a->at_s, "Z", at);
    json_object_set_new(entry, "revision", json_integer((json_int_t)a->revision));
    json_object_set_new(entry, "at", json_string(at));
    json_object_set_new(entry, "actor", json_string(a->actor));
    json_object_set_new(entry, "action", json_string(a->action));
    json_object_set_new(entry, "resource", json_string(a->resource));
    json_object_set_new(entry, "address", json_string(a->address));
    json_object_set_new(entry, "request_id", json_string(a->request_id));
    add_diff(entry, a->diff);
    if (a->restored != NULL)
        json_object_set(entry, "restored", (json_t *)(uintptr_t)a->restored);
    if (a->missing > 0)
        json_object_set_new(entry, "missing", json_integer((json_int_t)a->missing));
    doc_write(out, entry);
    json_decref(entry);
}
