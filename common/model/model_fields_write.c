// SPDX-License-Identifier: Apache-2.0
// The two JSON forms of a model: the record that Redis holds and the object that
// the public sees. Both are canonical: equal fields give equal bytes, so a
// digest over them means equality. Nothing here fails.
#include "common/base/clock.h"
#include "common/model/model_fields.h"

static void write_modalities(struct buf *out, const char *name, const struct modalities *m)
{
    buf_append_str(out, name);
    for (size_t i = 0; i < m->count; i++) {
        buf_append_char(out, i == 0 ? '[' : ',');
        doc_write_string(out, m->items[i]);
    }
    buf_append_char(out, ']');
}

static void write_tokens(struct buf *out, const char *name, int64_t tokens)
{
    if (tokens == 0)
        return;
    buf_append_str(out, name);
    buf_append_i64(out, tokens);
}

static void write_capabilities(struct buf *out, const struct model_fields *f)
{
    if (f->flag_count == 0)
        return;
    buf_append_str(out, ",\"capabilities\":");
    for (size_t i = 0; i < f->flag_count; i++) {
        buf_append_char(out, i == 0 ? '{' : ',');
        doc_write_string(out, f->flags[i]);
        buf_append_str(out, ":true");
    }
    buf_append_char(out, '}');
}

static void write_names_and_time(struct buf *out, const struct model_fields *f, bool is_public)
{
    buf_append_str(out, ",\"display_name\":");
    doc_write_string(out, f->display_name);
    buf_append_str(out, ",\"created\":");
    buf_append_i64(out, f->created);
    if (is_public) {
        char text[CLOCK_RFC3339_MAX];
        clock_format_rfc3339(f->created, "+00:00", text);
        buf_append_str(out, ",\"created_at\":\"");
        buf_append_str(out, text);
        buf_append_char(out, '"');
    }
    buf_append_str(out, ",\"owned_by\":");
    doc_write_string(out, f->owned_by);
}

// From context_length to capabilities: the same in both forms.
static void write_traits(struct buf *out, const struct model_fields *f)
{
    write_tokens(out, ",\"context_length\":", f->context_length);
    write_tokens(out, ",\"max_completion_tokens\":", f->max_completion_tokens);
    buf_append_str(out, ",\"architecture\":{");
    write_modalities(out, "\"input_modalities\":", &f->input);
    write_modalities(out, ",\"output_modalities\":", &f->output);
    buf_append_char(out, '}');
    write_capabilities(out, f);
}

const char *model_fields_status(const struct model_fields *f)
{
    return f->active ? "active" : "disabled";
}

void model_fields_write_record(struct buf *out, const struct model_fields *f, uint64_t revision)
{
    buf_append_str(out, "{\"id\":");
    doc_write_string(out, f->id);
    write_names_and_time(out, f, false);
    write_traits(out, f);
    buf_append_str(out, ",\"status\":\"");
    buf_append_str(out, model_fields_status(f));
    buf_append_str(out, "\",\"revision\":");
    buf_append_u64(out, revision);
    buf_append_char(out, '}');
}

void model_fields_write_middle(struct buf *out, const struct model_fields *f)
{
    buf_append_str(out, ",\"object\":\"model\",\"type\":\"model\"");
    write_names_and_time(out, f, true);
    write_traits(out, f);
}
