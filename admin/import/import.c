// SPDX-License-Identifier: Apache-2.0
// The table of formats and what their readers share. A reader trusts nothing: it
// looks only at members of the kind that it knows.
#include "admin/import/import.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/model/doc.h"
#include "common/model/names.h"

static const struct {
    bool (*read)(const json_t *doc, struct import *out, struct mistakes *mistakes);
    bool carries_status;
} formats[] = {
    {import_native, true},
    {import_openrouter, false},
};

bool import_read(int format, const json_t *doc, struct import *out, struct mistakes *mistakes)
{
    CM_ASSERT(format >= 0 && (size_t)format < CM_ARRAY_LEN(formats));
    out->carries_status = formats[format].carries_status;
    out->ids = json_object();
    return formats[format].read(doc, out, mistakes);
}

void import_fini(struct import *i)
{
    for (size_t n = 0; n < i->count; n++) {
        free(i->entries[n].id);
        free(i->entries[n].reason);
        json_decref(i->entries[n].doc);
    }
    free(i->entries);
    json_decref(i->ids);
    *i = (struct import){.count = 0};
}

static struct import_entry *append(struct import *i, struct slice id)
{
    if (i->count == i->room) {
        i->room = i->room == 0 ? 256 : 2 * i->room;
        i->entries = xrealloc(i->entries, i->room * sizeof(*i->entries));
    }
    struct import_entry *entry = &i->entries[i->count++];
    *entry = (struct import_entry){.id = slice_dup(id)};
    if (id.len > 0)
        json_object_setn_new(i->ids, id.ptr, id.len, json_true());
    return entry;
}

void import_skip(struct import *i, struct slice id, const char *format, ...)
{
    struct buf reason = {.len = 0};
    size_t len;
    va_list args;
    va_start(args, format);
    buf_vprintf(&reason, format, args);
    va_end(args);
    buf_append_char(&reason, '\0');
    append(i, id)->reason = buf_steal(&reason, &len);
}

void import_add(struct import *i, struct slice id, json_t *doc)
{
    if (!names_is_model_id(id)) {
        import_skip(i, id, "not a model id: it must be vendor/name, see the rules for names");
        json_decref(doc);
    } else if (json_object_getn(i->ids, id.ptr, id.len) != NULL) {
        import_skip(i, id, "this id was there before");
        json_decref(doc);
    } else {
        append(i, id)->doc = doc;
    }
}
