// SPDX-License-Identifier: Apache-2.0
// A key's aliases, packed into one allocation: struct, items, two index tables,
// bytes. The set is made once and read by every request of its key.
//
// by_name holds the items in bytewise order of their names. In that order all
// names between a prefix alias and a name that starts with it start with it
// too. So the last name that is not above the wanted one is either equal to it,
// or starts with the longest prefix alias that fits, or is that alias itself:
// `enclosing` leads from each name to the next shorter prefix alias around it.
//
// Making one fails on input only; then every mistake is listed and nothing is
// left behind.
#include "common/model/alias.h"

#include <stdlib.h>
#include <string.h>

#include "common/model/names.h"

_Static_assert(ALIAS_SET_MAX < UINT16_MAX, "a position + 1 must fit the tables");

static const char *const members[] = {"match", "name", "target"};
static const char *const match_names[] = {"exact", "prefix"};

static void check_members(const json_t *object, const char *pointer, struct mistakes *mistakes)
{
    json_t *o = (json_t *)object; // the iteration changes nothing
    for (void *at = json_object_iter(o); at != NULL; at = json_object_iter_next(o, at)) {
        struct slice member = slice_of(json_object_iter_key(at));
        size_t known = 0;
        while (known < CM_ARRAY_LEN(members) && !slice_equal(member, slice_of(members[known])))
            known++;
        if (known == CM_ARRAY_LEN(members))
            mistakes_add_unknown(mistakes, pointer, member, members, CM_ARRAY_LEN(members));
    }
}

// A string member; says so and gives false when it is missing or of another type.
static bool read_string(const json_t *object, const char *pointer, const char *member,
                        struct slice *out, struct mistakes *mistakes)
{
    char at[MISTAKE_POINTER_MAX];
    const json_t *value = json_object_get(object, member);
    *out = doc_string(value);
    if (json_is_string(value))
        return true;
    mistake_pointer(at, pointer, slice_of(member));
    if (value == NULL)
        mistakes_add(mistakes, at, "required", "%s is required", member);
    else
        mistakes_add(mistakes, at, "invalid", "%s must be a string", member);
    return false;
}

static void read_match(struct alias *alias, const json_t *object, const char *pointer,
                       struct mistakes *mistakes)
{
    struct slice word;
    if (!read_string(object, pointer, "match", &word, mistakes))
        return;
    alias->match = slice_equal(word, slice_of("prefix")) ? ALIAS_PREFIX : ALIAS_EXACT;
    if (slice_equal(word, slice_of(match_names[alias->match])))
        return;
    char at[MISTAKE_POINTER_MAX];
    mistake_pointer(at, pointer, slice_of("match"));
    mistakes_add(mistakes, at, "invalid", "match must be \"exact\" or \"prefix\"");
}

static void read_name(struct alias *alias, const json_t *object, const char *pointer,
                      struct mistakes *mistakes)
{
    char at[MISTAKE_POINTER_MAX];
    if (!read_string(object, pointer, "name", &alias->name, mistakes) ||
        names_is_alias(alias->name, alias->match == ALIAS_PREFIX))
        return;
    mistake_pointer(at, pointer, slice_of("name"));
    if (alias->match == ALIAS_PREFIX && names_is_alias(alias->name, false))
        mistakes_add(mistakes, at, "invalid", "a prefix needs at least %d characters",
                     NAMES_PREFIX_MIN);
    else
        mistakes_add(mistakes, at, "invalid",
                     "a name is 1 to %d printable ASCII characters without space, \" \\ ? # %%",
                     NAMES_ALIAS_MAX);
}

static void read_target(struct alias *alias, const json_t *object, const char *pointer,
                        struct mistakes *mistakes)
{
    char at[MISTAKE_POINTER_MAX];
    if (!read_string(object, pointer, "target", &alias->target, mistakes) ||
        names_is_model_id(alias->target))
        return;
    mistake_pointer(at, pointer, slice_of("target"));
    mistakes_add(mistakes, at, "invalid", "a target is a model id, vendor/name");
}

// Fills *alias with views of the document; what is wrong goes to mistakes.
static void read_alias(struct alias *alias, const json_t *object, const char *pointer,
                       struct mistakes *mistakes)
{
    *alias = (struct alias){.match = ALIAS_EXACT};
    if (!json_is_object(object)) {
        mistakes_add(mistakes, pointer, "invalid", "an alias must be an object");
        return;
    }
    check_members(object, pointer, mistakes);
    read_match(alias, object, pointer, mistakes);
    read_name(alias, object, pointer, mistakes);
    read_target(alias, object, pointer, mistakes);
}

static int compare_aliases(const struct alias *a, const struct alias *b)
{
    int order = slice_compare(a->name, b->name);
    return order != 0 ? order : (int)a->match - (int)b->match;
}

// For qsort_r: equal ones in list order, so that the later one is the mistake.
static int compare_positions(const void *a, const void *b, void *items)
{
    const uint16_t *x = a, *y = b;
    int order = compare_aliases((struct alias *)items + *x, (struct alias *)items + *y);
    return order != 0 ? order : (int)*x - (int)*y;
}

static void sort_by_name(uint16_t *by_name, struct alias *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        by_name[i] = (uint16_t)i;
    qsort_r(by_name, count, sizeof(*by_name), compare_positions, items);
}

static void check_repeated(const uint16_t *by_name, const struct alias *items, size_t count,
                           const char *pointer, struct mistakes *mistakes)
{
    for (size_t i = 1; i < count; i++) {
        const struct alias *alias = &items[by_name[i]];
        if (alias->name.len == 0 || compare_aliases(&items[by_name[i - 1]], alias) != 0)
            continue;
        char at[MISTAKE_POINTER_MAX];
        mistake_pointer_index(at, pointer, by_name[i]);
        mistakes_add(mistakes, at, "repeated", "%s \"%.*s\" is in the set already",
                     match_names[alias->match], SLICE_FMT(alias->name));
    }
}

// One walk over the names in order: each prefix alias around a name comes before
// it, and the nearest one before it that is no prefix of it is none of any later
// name. The exact alias whose prefix twin follows it is the one exception.
static void fill_enclosing(uint16_t *enclosing, const uint16_t *by_name, const struct alias *items,
                           size_t count)
{
    size_t around = 0; // position + 1
    for (size_t i = 0; i < count; i++) {
        const struct alias *alias = &items[by_name[i]];
        while (around > 0 && !slice_starts_with(alias->name, items[by_name[around - 1]].name))
            around = enclosing[around - 1];
        enclosing[i] = (uint16_t)around;
        if (alias->match == ALIAS_PREFIX)
            around = i + 1;
        if (alias->match == ALIAS_PREFIX && i > 0 &&
            slice_equal(items[by_name[i - 1]].name, alias->name))
            enclosing[i - 1] = (uint16_t)(i + 1);
    }
}

static struct slice move_bytes(char **at, struct slice text)
{
    memcpy(*at, text.ptr, text.len);
    struct slice moved = slice_make(*at, text.len);
    *at += text.len;
    return moved;
}

static struct alias_set *pack(const struct alias *from, const uint16_t *by_name, size_t count)
{
    size_t bytes = sizeof(struct alias_set) + count * (sizeof(*from) + 2 * sizeof(*by_name));
    for (size_t i = 0; i < count; i++)
        bytes += from[i].name.len + from[i].target.len;
    struct alias_set *set = xmalloc(bytes);
    struct alias *items = (struct alias *)(void *)(set + 1);
    uint16_t *positions = (uint16_t *)(void *)(items + count);
    uint16_t *enclosing = positions + count;
    char *text = (char *)(enclosing + count);

    for (size_t i = 0; i < count; i++) {
        items[i] = from[i];
        items[i].name = move_bytes(&text, from[i].name);
        items[i].target = move_bytes(&text, from[i].target);
    }
    if (count > 0)
        memcpy(positions, by_name, count * sizeof(*positions));
    fill_enclosing(enclosing, positions, items, count);
    *set = (struct alias_set){count, bytes, items, positions, enclosing};
    return set;
}

struct alias_set *alias_set_parse(const json_t *array, const char *pointer,
                                  struct mistakes *mistakes)
{
    struct mistakes own; // judges also when nobody asks why
    bool asked = mistakes != NULL;
    if (!asked) {
        mistakes_init(&own);
        mistakes = &own;
    }
    size_t before = mistakes->count;
    size_t count = json_array_size(array);
    if (!json_is_array(array))
        mistakes_add(mistakes, pointer, "invalid", "aliases must be an array");
    else if (count > ALIAS_SET_MAX)
        mistakes_add(mistakes, pointer, "out_of_range", "a key has at most %d aliases",
                     ALIAS_SET_MAX);
    if (mistakes->count > before)
        return NULL;

    struct alias items[ALIAS_SET_MAX];
    uint16_t by_name[ALIAS_SET_MAX];
    char at[MISTAKE_POINTER_MAX] = "";
    for (size_t i = 0; i < count; i++) {
        if (asked) // printing is most of the work
            mistake_pointer_index(at, pointer, i);
        read_alias(&items[i], json_array_get(array, i), at, mistakes);
    }
    sort_by_name(by_name, items, count);
    check_repeated(by_name, items, count, pointer, mistakes);
    return mistakes->count > before ? NULL : pack(items, by_name, count);
}

void alias_set_destroy(struct alias_set *set)
{
    free(set);
}

void alias_set_write(struct buf *out, const struct alias_set *set)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < set->count; i++) {
        const struct alias *alias = &set->items[i];
        buf_append_str(out, i > 0 ? ",{\"match\":\"" : "{\"match\":\"");
        buf_append_str(out, match_names[alias->match]);
        buf_append_str(out, "\",\"name\":");
        doc_write_string(out, alias->name);
        buf_append_str(out, ",\"target\":");
        doc_write_string(out, alias->target);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static const struct alias *at_position(const struct alias_set *set, size_t position)
{
    return &set->items[set->by_name[position]];
}

// How many names are not above `name`.
static size_t count_up_to(const struct alias_set *set, struct slice name)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (slice_compare(at_position(set, middle)->name, name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t shared_length(struct slice a, struct slice b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

const struct alias *alias_set_find(const struct alias_set *set, struct slice name)
{
    size_t at = count_up_to(set, name); // position + 1, here and below
    if (at == 0)
        return NULL;
    const struct alias *last = at_position(set, at - 1);
    size_t shared = shared_length(last->name, name);
    if (shared == name.len && shared == last->name.len) {
        bool has_exact_twin = at > 1 && slice_equal(at_position(set, at - 2)->name, name);
        return has_exact_twin ? at_position(set, at - 2) : last;
    }
    // Names around `last` are prefixes of it, so their length alone decides.
    if (last->match == ALIAS_EXACT)
        at = set->enclosing[at - 1];
    while (at > 0 && at_position(set, at - 1)->name.len > shared)
        at = set->enclosing[at - 1];
    return at > 0 ? at_position(set, at - 1) : NULL;
}
