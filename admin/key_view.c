// SPDX-License-Identifier: Apache-2.0
// No digest ever leaves through here, and a secret only in the one answer to the
// request that made it.
#include "admin/key_view.h"

#include "common/model/doc.h"

json_t *key_view(const struct key_doc *k, int64_t now_s)
{
    const char *hint = k->secret_count > 0 ? k->secrets[0].hint : "";
    json_t *view = json_object();
    json_object_set_new(view, "id", json_string(k->id));
    json_object_set_new(view, "name", json_string(k->name));
    json_object_set_new(view, "status", json_string(key_doc_status(k, now_s)));
    json_object_set_new(view, "enabled", json_boolean(k->enabled));
    json_object_set_new(view, "hint", hint[0] == '\0' ? json_null() : json_string(hint));
    json_object_set(view, "tags", k->tags);
    json_object_set(view, "aliases", k->aliases);
    json_object_set_new(view, "created_at", doc_time(k->created_at));
    json_object_set_new(view, "expires_at", doc_time(k->expires_at));
    json_object_set_new(view, "revision", json_integer((json_int_t)k->revision));
    return view;
}

void key_view_write(struct buf *out, const struct key_doc *k, int64_t now_s,
                    enum key_view_secret how, const char *secret)
{
    json_t *view = key_view(k, now_s);
    if (how != KEY_VIEW_PLAIN)
        json_object_set_new(view, "secret",
                            how == KEY_VIEW_SECRET ? json_string(secret) : json_null());
    doc_write(out, view);
    json_decref(view);
}

void key_view_write_aliases(struct buf *out, const struct key_doc *k)
{
    buf_append_str(out, "{\"aliases\":");
    doc_write(out, k->aliases);
    buf_append_char(out, '}');
}
