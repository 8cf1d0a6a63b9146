// SPDX-License-Identifier: Apache-2.0
// The grammar of names, byte by byte. Every rule here keeps names free of what
// would need escaping in JSON and of what ends or hides a part of a URL path,
// so that a name is one and the same text in Redis, in a path and in an answer.
// Slashes and dots are ordinary bytes: nothing is normalised.
#include "common/model/names.h"

static bool is_vendor_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '~';
}

static bool is_vendor_rest(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_name_byte(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '?' && c != '#' && c != '%';
}

// True for 1..max bytes that a name may hold.
static bool is_name(struct slice s, size_t max)
{
    if (s.len == 0 || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_name_byte(s.ptr[i]))
            return false;
    return true;
}

static bool is_vendor(struct slice s)
{
    if (s.len == 0 || s.len > NAMES_VENDOR_MAX || !is_vendor_start(s.ptr[0]))
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!is_vendor_rest(s.ptr[i]))
            return false;
    return true;
}

bool names_is_model_id(struct slice id)
{
    struct slice name = id;
    struct slice vendor = slice_take(&name, '/');
    return is_vendor(vendor) && is_name(name, NAMES_MODEL_NAME_MAX);
}

bool names_is_alias(struct slice name, bool is_prefix)
{
    return is_name(name, NAMES_ALIAS_MAX) && (!is_prefix || name.len >= NAMES_PREFIX_MIN);
}

struct slice names_vendor(struct slice id)
{
    struct slice rest = id;
    struct slice vendor = slice_take(&rest, '/');
    return vendor.len < id.len ? vendor : SLICE_NONE;
}

// Crockford's base32 leaves out I, L, O and U.
static bool is_crockford(char c)
{
    char upper = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    if (upper >= '0' && upper <= '9')
        return true;
    return upper >= 'A' && upper <= 'Z' && upper != 'I' && upper != 'L' && upper != 'O' &&
           upper != 'U';
}

bool names_is_key_id(struct slice id)
{
    enum { ULID_LEN = 26 };
    const struct slice start = SLICE_LIT("key_");
    if (id.len != start.len + ULID_LEN || !slice_starts_with(id, start))
        return false;
    for (size_t i = start.len; i < id.len; i++)
        if (!is_crockford(id.ptr[i]))
            return false;
    return true;
}
