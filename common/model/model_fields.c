// SPDX-License-Identifier: Apache-2.0
// The one validator of model records: the admin calls it on what a client sent,
// workers on what Redis holds. The same rules hold for both; they differ in what
// may be missing (a client's document has defaults, a record is whole) and in
// members that nobody knows (a client's slip, or a newer version's record).
//
// All mistakes are collected, then nothing is used.
#include "common/model/model_fields.h"

#include <math.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/model/names.h"

// One object being read: the document itself or an object in it.
struct reader {
    const json_t *object;
    const char *pointer; // to the object
    bool stored;
    struct mistakes *mistakes;
    char at[MISTAKE_POINTER_MAX]; // filled by `at`
};

// What a client may write, then what it may send back to us.
static const char *const members[] = {"display_name",
                                      "created",
                                      "owned_by",
                                      "context_length",
                                      "max_completion_tokens",
                                      "architecture",
                                      "capabilities",
                                      "status",
                                      "id",
                                      "object",
                                      "type",
                                      "created_at",
                                      "root",
                                      "revision"};
enum { WRITABLE_MEMBERS = 8 };

static const char *const architecture_members[] = {"input_modalities", "output_modalities"};

static const char *at(struct reader *r, const char *member)
{
    mistake_pointer(r->at, r->pointer, slice_of(member));
    return r->at;
}

// The member's value, NULL when it is missing or null; says so when a record
// must have it.
static const json_t *member_of(struct reader *r, const char *member, bool always_stored)
{
    const json_t *value = json_object_get(r->object, member);
    if (value != NULL && !json_is_null(value))
        return value;
    if (r->stored && always_stored)
        mistakes_add(r->mistakes, at(r, member), "required", "%s is required", member);
    return NULL;
}

static bool is_one_of(struct slice word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(word, slice_of(words[i])))
            return true;
    return false;
}

// The first `writable` of the known members are those that a client may mean.
static void check_members(struct reader *r, const char *const *known, size_t count, size_t writable)
{
    if (r->stored)
        return;
    json_t *object = (json_t *)r->object; // the iteration changes nothing
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        struct slice member = slice_of(json_object_iter_key(i));
        if (!is_one_of(member, known, count))
            mistakes_add_unknown(r->mistakes, r->pointer, member, known, writable);
    }
}

// C0, DEL and, as two bytes of UTF-8, C1.
static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_c1 = c == 0xC2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xA0;
        if (c < 0x20 || c == 0x7F || is_c1)
            return true;
    }
    return false;
}

static void read_text(struct reader *r, const char *member, size_t max, struct slice fallback,
                      struct slice *out)
{
    const json_t *value = member_of(r, member, true);
    *out = value == NULL ? fallback : doc_string(value);
    if (value == NULL)
        return;
    if (!json_is_string(value))
        mistakes_add(r->mistakes, at(r, member), "invalid", "%s must be a string", member);
    else if (out->len == 0 || out->len > max)
        mistakes_add(r->mistakes, at(r, member), "out_of_range", "%s must have 1 to %zu bytes",
                     member, max);
    else if (has_control(*out))
        mistakes_add(r->mistakes, at(r, member), "invalid",
                     "%s must not contain control characters", member);
}

// A value in min..max, also as a real without a fraction: JavaScript and some
// published catalogs write 2000000.0. *out is changed only then.
static void read_number(struct reader *r, const char *member, const json_t *value, int64_t min,
                        int64_t max, int64_t *out)
{
    double real = json_number_value(value);
    if (!json_is_number(value) || floor(real) != real)
        mistakes_add(r->mistakes, at(r, member), "invalid", "%s must be an integer", member);
    else if (json_is_real(value) && real >= (double)min && real <= (double)max)
        *out = (int64_t)real;
    else if (json_is_integer(value) && json_integer_value(value) >= min &&
             json_integer_value(value) <= max)
        *out = json_integer_value(value);
    else
        mistakes_add(r->mistakes, at(r, member), "out_of_range", "%s must be between %lld and %lld",
                     member, (long long)min, (long long)max);
}

static void read_created(struct reader *r, int64_t now_s, int64_t *out)
{
    const json_t *value = member_of(r, "created", true);
    *out = now_s;
    if (value != NULL)
        read_number(r, "created", value, 0, CLOCK_UNIX_MAX, out);
}

static void read_tokens(struct reader *r, const char *member, int64_t *out)
{
    const json_t *value = member_of(r, member, false);
    *out = 0;
    if (value != NULL)
        read_number(r, member, value, 1, MODEL_INTEGER_MAX, out);
}

// 1..max bytes of a-z, 0-9, '_' and `extra`.
static bool is_word(struct slice s, size_t max, char extra)
{
    if (s.len == 0 || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == extra))
            return false;
    }
    return true;
}

static void read_modality(struct reader *r, const char *member, size_t index, const json_t *value,
                          struct modalities *out)
{
    char pointer[MISTAKE_POINTER_MAX];
    struct slice word = doc_string(value);
    bool valid = is_word(word, MODEL_MODALITY_MAX, '-');
    bool repeated = false;
    for (size_t i = 0; i < out->count; i++)
        repeated |= slice_equal(out->items[i], word);
    if (valid && !repeated) {
        out->items[out->count++] = word;
        return;
    }
    mistake_pointer_index(pointer, at(r, member), index);
    if (!valid)
        mistakes_add(r->mistakes, pointer, "invalid",
                     "a modality is a string of 1 to %d of a-z, 0-9, _ and -", MODEL_MODALITY_MAX);
    else
        mistakes_add(r->mistakes, pointer, "repeated", "\"%.*s\" is in the list already",
                     SLICE_FMT(word));
}

static void read_modalities(struct reader *r, const char *member, struct modalities *out)
{
    const json_t *value = r->object == NULL ? NULL : member_of(r, member, true);
    size_t count = json_array_size(value);
    *out = (struct modalities){.count = 1, .items[0] = SLICE_LIT("text")};
    if (value == NULL)
        return;
    if (!json_is_array(value)) {
        mistakes_add(r->mistakes, at(r, member), "invalid", "%s must be an array", member);
        return;
    }
    if (count == 0 || count > MODEL_MODALITIES_MAX) {
        mistakes_add(r->mistakes, at(r, member), "out_of_range", "%s must have 1 to %d entries",
                     member, MODEL_MODALITIES_MAX);
        return;
    }
    out->count = 0;
    for (size_t i = 0; i < count; i++)
        read_modality(r, member, i, json_array_get(value, i), out);
}

// The object of that name as a reader of its own; its object is NULL when there
// is none.
static struct reader enter(struct reader *r, const char *member, const char *pointer,
                           bool always_stored)
{
    const json_t *value = member_of(r, member, always_stored);
    if (value != NULL && !json_is_object(value)) {
        mistakes_add(r->mistakes, at(r, member), "invalid", "%s must be an object", member);
        value = NULL;
    }
    return (struct reader){value, pointer, r->stored, r->mistakes, {0}};
}

static void read_architecture(struct reader *r, struct model_fields *out)
{
    struct reader inner = enter(r, "architecture", "#/architecture", true);
    size_t known = CM_ARRAY_LEN(architecture_members);
    check_members(&inner, architecture_members, known, known);
    read_modalities(&inner, "input_modalities", &out->input);
    read_modalities(&inner, "output_modalities", &out->output);
}

// Past the limit only counted.
static void insert_sorted(struct model_fields *out, struct slice flag)
{
    size_t i = out->flag_count++;
    if (i >= MODEL_FLAGS_MAX)
        return;
    for (; i > 0 && slice_compare(out->flags[i - 1], flag) > 0; i--)
        out->flags[i] = out->flags[i - 1];
    out->flags[i] = flag;
}

static void read_flag(struct reader *r, const char *name, const json_t *value,
                      struct model_fields *out)
{
    if (!is_word(slice_of(name), MODEL_FLAG_MAX, '_'))
        mistakes_add(r->mistakes, at(r, name), "invalid",
                     "a capability's name is 1 to %d of a-z, 0-9 and _", MODEL_FLAG_MAX);
    else if (!json_is_boolean(value) && !json_is_null(value))
        mistakes_add(r->mistakes, at(r, name), "invalid", "a capability is true or false");
    else if (json_is_true(value))
        insert_sorted(out, slice_of(name));
}

static void read_capabilities(struct reader *r, struct model_fields *out)
{
    struct reader inner = enter(r, "capabilities", "#/capabilities", false);
    json_t *object = (json_t *)inner.object; // the iteration changes nothing
    out->flag_count = 0;
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i))
        read_flag(&inner, json_object_iter_key(i), json_object_iter_value(i), out);
    if (out->flag_count > MODEL_FLAGS_MAX)
        mistakes_add(r->mistakes, inner.pointer, "out_of_range",
                     "a model has at most %d capabilities", MODEL_FLAGS_MAX);
}

static void read_status(struct reader *r, bool *active)
{
    const json_t *value = member_of(r, "status", true);
    struct slice word = doc_string(value);
    *active = value == NULL || slice_equal(word, slice_of("active"));
    if (!*active && !slice_equal(word, slice_of("disabled")))
        mistakes_add(r->mistakes, at(r, "status"), "invalid",
                     "status must be \"active\" or \"disabled\"");
}

// All but the id and the revision.
static void read_writable(struct reader *r, int64_t now_s, struct model_fields *out)
{
    read_text(r, "display_name", MODEL_DISPLAY_NAME_MAX, out->id, &out->display_name);
    read_created(r, now_s, &out->created);
    read_text(r, "owned_by", MODEL_OWNED_BY_MAX, names_vendor(out->id), &out->owned_by);
    read_tokens(r, "context_length", &out->context_length);
    read_tokens(r, "max_completion_tokens", &out->max_completion_tokens);
    read_architecture(r, out);
    read_capabilities(r, out);
    read_status(r, &out->active);
}

static bool is_object(const json_t *doc, struct mistakes *mistakes)
{
    if (!json_is_object(doc))
        mistakes_add(mistakes, "#", "invalid", "a model must be an object");
    return json_is_object(doc);
}

bool model_fields_from_client(const json_t *doc, struct slice id, int64_t now_s,
                              struct model_fields *out, struct mistakes *mistakes)
{
    size_t before = mistakes->count;
    struct reader r = {doc, "#", false, mistakes, {0}};
    if (!is_object(doc, mistakes))
        return false;
    const json_t *own_id = member_of(&r, "id", true);
    out->id = id;
    if (!names_is_model_id(id))
        mistakes_add(mistakes, "#/id", "invalid", "a model id is vendor/name");
    else if (own_id != NULL && !slice_equal(doc_string(own_id), id))
        mistakes_add(mistakes, "#/id", "invalid", "id must be \"%.*s\" here", SLICE_FMT(id));
    check_members(&r, members, CM_ARRAY_LEN(members), WRITABLE_MEMBERS);
    read_writable(&r, now_s, out);
    return mistakes->count == before;
}

bool model_fields_from_record(const json_t *doc, struct model_fields *out, uint64_t *revision,
                              struct mistakes *mistakes)
{
    size_t before = mistakes->count;
    struct reader r = {doc, "#", true, mistakes, {0}};
    if (!is_object(doc, mistakes))
        return false;
    const json_t *id = member_of(&r, "id", true), *number = member_of(&r, "revision", true);
    out->id = doc_string(id);
    if (id != NULL && !names_is_model_id(out->id))
        mistakes_add(mistakes, "#/id", "invalid", "a model id is vendor/name");
    int64_t value = 0;
    if (number != NULL)
        read_number(&r, "revision", number, 0, MODEL_INTEGER_MAX, &value);
    *revision = (uint64_t)value;
    read_writable(&r, 0, out);
    return mistakes->count == before;
}
