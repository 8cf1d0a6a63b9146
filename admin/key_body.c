// SPDX-License-Identifier: Apache-2.0
// Every mistake of a body is found, not just the first. A member that cannot be
// written here is refused when it would have meant a change (a status, an alias
// set): ignoring it would answer 200 to something that was not done.
#include "admin/key_body.h"

#include <stdlib.h>
#include <string.h>

#include "admin/key_aliases.h"
#include "common/base/clock.h"
#include "common/model/names.h"

static bool is_text(struct slice s, size_t max)
{
    if (s.len == 0 || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    return true;
}

static void set_name(struct key_doc *k, const json_t *value, struct mistakes *mistakes)
{
    struct slice name = doc_string(value);
    if (value == NULL || json_is_null(value)) {
        mistakes_add(mistakes, "#/name", "required", "a key needs a name");
    } else if (!is_text(name, KEY_NAME_MAX)) {
        mistakes_add(mistakes, "#/name", "invalid",
                     "must be a string of 1 to %d bytes without control characters", KEY_NAME_MAX);
    } else {
        free(k->name);
        k->name = slice_dup(name);
    }
}

static bool has_before(const json_t *array, size_t end, const json_t *value)
{
    for (size_t i = 0; i < end; i++)
        if (json_equal(json_array_get(array, i), value))
            return true;
    return false;
}

static void set_tags(struct key_doc *k, const json_t *value, struct mistakes *mistakes)
{
    size_t before = mistakes->count;
    if (value == NULL || json_is_null(value)) {
        json_array_clear(k->tags);
        return;
    }
    if (!json_is_array(value) || json_array_size(value) > KEY_TAGS_MAX) {
        mistakes_add(mistakes, "#/tags", "invalid", "must be an array of at most %d strings",
                     KEY_TAGS_MAX);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        char pointer[MISTAKE_POINTER_MAX];
        const json_t *tag = json_array_get(value, i);
        mistake_pointer_index(pointer, "#/tags", i);
        if (!is_text(doc_string(tag), KEY_TAG_MAX))
            mistakes_add(mistakes, pointer, "invalid",
                         "must be a string of 1 to %d bytes without control characters",
                         KEY_TAG_MAX);
        else if (has_before(value, i, tag))
            mistakes_add(mistakes, pointer, "repeated", "this tag is given twice");
    }
    if (mistakes->count == before) {
        json_decref(k->tags);
        k->tags = json_deep_copy(value);
    }
}

static void set_enabled(struct key_doc *k, const json_t *value, struct mistakes *mistakes)
{
    if (value == NULL || json_is_null(value))
        k->enabled = true;
    else if (!json_is_boolean(value))
        mistakes_add(mistakes, "#/enabled", "invalid", "must be true or false");
    else
        k->enabled = json_is_true(value);
}

static void set_expiry(struct key_doc *k, const json_t *value, struct mistakes *mistakes)
{
    struct slice text = doc_string(value);
    int64_t at = 0;
    if (value == NULL || json_is_null(value)) {
        k->expires_at = 0;
    } else if (text.ptr == NULL || !clock_parse_rfc3339(text.ptr, text.len, &at) || at <= 0) {
        mistakes_add(mistakes, "#/expires_at", "invalid",
                     "must be a time as in 2027-01-01T00:00:00Z, or null");
    } else {
        k->expires_at = at;
    }
}

static void set_aliases(struct key_doc *k, const json_t *value, struct mistakes *mistakes)
{
    if (value == NULL || json_is_null(value))
        return;
    json_t *aliases = key_aliases_normalise(value, "#/aliases", mistakes);
    if (aliases == NULL)
        return;
    json_decref(k->aliases);
    k->aliases = aliases;
}

// Reports the members of body that are not in known.
static void check_members(const json_t *body, const char *const *known, size_t count,
                          struct mistakes *mistakes)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++)
            found = strcmp(known[i], name) == 0;
        if (!found)
            mistakes_add_unknown(mistakes, "#", slice_of(name), known, count);
    }
}

static bool check_object(const json_t *body, const char *const *known, size_t count,
                         struct mistakes *mistakes)
{
    if (!json_is_object(body)) {
        mistakes_add(mistakes, "#", "invalid", "must be an object");
        return false;
    }
    check_members(body, known, count, mistakes);
    return true;
}

static void set_members(const json_t *body, struct key_doc *k, struct mistakes *mistakes)
{
    set_name(k, json_object_get(body, "name"), mistakes);
    set_tags(k, json_object_get(body, "tags"), mistakes);
    set_enabled(k, json_object_get(body, "enabled"), mistakes);
    set_expiry(k, json_object_get(body, "expires_at"), mistakes);
    set_aliases(k, json_object_get(body, "aliases"), mistakes);
}

// True when there is one.
static bool take_digest(const json_t *given, const char *pointer, struct secret_digest *digest,
                        struct mistakes *mistakes)
{
    if (given == NULL || json_is_null(given))
        return false;
    if (!secret_digest_parse(doc_string(given), digest))
        mistakes_add(mistakes, pointer, "invalid",
                     "must be 64 hexadecimal digits, the SHA-256 of the key");
    return true;
}

bool key_body_create(const json_t *body, struct key_doc *k, bool *has_digest,
                     struct secret_digest *digest, struct mistakes *mistakes)
{
    static const char *const known[] = {"name",    "tags",    "expires_at",
                                        "aliases", "enabled", "secret_sha256"};
    if (!check_object(body, known, CM_ARRAY_LEN(known), mistakes))
        return false;
    set_members(body, k, mistakes);
    *has_digest =
        take_digest(json_object_get(body, "secret_sha256"), "#/secret_sha256", digest, mistakes);
    return mistakes->count == 0;
}

static void set_created(struct key_doc *k, const json_t *value, struct mistakes *mistakes)
{
    struct slice text = doc_string(value);
    if (value != NULL && !json_is_null(value) &&
        (text.ptr == NULL || !clock_parse_rfc3339(text.ptr, text.len, &k->created_at)))
        mistakes_add(mistakes, "#/created_at", "invalid",
                     "must be a time as in 2027-01-01T00:00:00Z, or null");
}

static void set_hint(struct key_secret *s, const json_t *value, struct mistakes *mistakes)
{
    struct slice hint = doc_string(value);
    if (value == NULL || json_is_null(value))
        return;
    if (is_text(hint, SECRET_HINT_LEN))
        memcpy(s->hint, hint.ptr, hint.len);
    else
        mistakes_add(mistakes, "#/hint", "invalid", "must be a string of at most %d bytes",
                     SECRET_HINT_LEN);
}

// A secret that works until its grace ends.
static void add_grace(struct key_doc *k, const json_t *item, size_t i, struct mistakes *mistakes)
{
    static const char *const known[] = {"secret_sha256", "until"};
    char pointer[MISTAKE_POINTER_MAX];
    struct key_secret *s = &k->secrets[k->secret_count];
    struct slice until = doc_string(json_object_get(item, "until"));
    size_t before = mistakes->count;
    mistake_pointer_index(pointer, "#/grace", i);
    *s = (struct key_secret){.until = 0};
    if (check_object(item, known, CM_ARRAY_LEN(known), mistakes) &&
        (!take_digest(json_object_get(item, "secret_sha256"), "#/secret_sha256", &s->digest,
                      mistakes) ||
         until.ptr == NULL || !clock_parse_rfc3339(until.ptr, until.len, &s->until) ||
         s->until <= 0))
        mistakes_add(mistakes, "#", "invalid", "needs secret_sha256 and the time until");
    if (mistakes->count > before)
        mistakes_prefix(mistakes, before, pointer);
    else
        k->secret_count++;
}

static void set_secrets(struct key_doc *k, const json_t *body, struct mistakes *mistakes)
{
    const json_t *grace = json_object_get(body, "grace");
    struct key_secret *current = &k->secrets[0];
    bool given = take_digest(json_object_get(body, "secret_sha256"), "#/secret_sha256",
                             &current->digest, mistakes);
    set_hint(current, json_object_get(body, "hint"), mistakes);
    k->secret_count = given;
    if (grace == NULL || json_is_null(grace))
        return;
    if (!given || !json_is_array(grace) || json_array_size(grace) > KEY_SECRETS_MAX - 1) {
        mistakes_add(mistakes, "#/grace", "invalid",
                     "must be an array of at most %d secrets, beside a secret_sha256",
                     KEY_SECRETS_MAX - 1);
        return;
    }
    for (size_t i = 0; i < json_array_size(grace); i++)
        add_grace(k, json_array_get(grace, i), i, mistakes);
}

struct key_doc *key_body_config(const json_t *body, struct mistakes *mistakes)
{
    static const char *const known[] = {
        "id",         "name",  "enabled", "tags",     "aliases", "hint",         "created_at",
        "expires_at", "grace", "status",  "revision", "object",  "secret_sha256"};
    char id[KEY_ID_MAX + 1] = "";
    size_t before = mistakes->count;
    if (!check_object(body, known, CM_ARRAY_LEN(known), mistakes))
        return NULL;
    struct slice given = doc_string(json_object_get(body, "id"));
    if (names_is_key_id(given))
        memcpy(id, given.ptr, given.len);
    else
        mistakes_add(mistakes, "#/id", "invalid", "must be a key id, as in GET /keys");
    struct key_doc *k = key_doc_create(id, 0);
    set_members(body, k, mistakes);
    set_created(k, json_object_get(body, "created_at"), mistakes);
    set_secrets(k, body, mistakes);
    if (mistakes->count == before)
        return k;
    key_doc_destroy(k);
    return NULL;
}

// status and aliases have other ways to be written; the same value is fine.
static void check_read_only(const json_t *body, const struct key_doc *k, int64_t now_s,
                            struct mistakes *mistakes)
{
    const json_t *id = json_object_get(body, "id");
    const json_t *status = json_object_get(body, "status");
    const json_t *aliases = json_object_get(body, "aliases");
    if (id != NULL && !slice_equal(doc_string(id), slice_of(k->id)))
        mistakes_add(mistakes, "#/id", "invalid", "is not the id of this key");
    if (status != NULL && !slice_equal(doc_string(status), slice_of(key_doc_status(k, now_s))))
        mistakes_add(mistakes, "#/status", "read_only", "write enabled or expires_at instead");
    if (aliases != NULL && !json_equal(aliases, k->aliases))
        mistakes_add(mistakes, "#/aliases", "read_only", "PUT /keys/{id}/aliases writes them");
}

bool key_body_patch(const json_t *body, struct key_doc *k, int64_t now_s, struct mistakes *mistakes)
{
    static const char *const known[] = {"name",     "tags",   "enabled", "expires_at",
                                        "id",       "status", "hint",    "created_at",
                                        "revision", "object", "aliases", "secret"};
    if (!check_object(body, known, CM_ARRAY_LEN(known), mistakes))
        return false;
    check_read_only(body, k, now_s, mistakes);
    if (json_object_get(body, "name") != NULL)
        set_name(k, json_object_get(body, "name"), mistakes);
    if (json_object_get(body, "tags") != NULL)
        set_tags(k, json_object_get(body, "tags"), mistakes);
    if (json_object_get(body, "enabled") != NULL)
        set_enabled(k, json_object_get(body, "enabled"), mistakes);
    if (json_object_get(body, "expires_at") != NULL)
        set_expiry(k, json_object_get(body, "expires_at"), mistakes);
    return mistakes->count == 0;
}

bool key_body_rotate(const json_t *body, int64_t *grace_s, struct mistakes *mistakes)
{
    static const char *const known[] = {"grace_seconds"};
    *grace_s = 0;
    if (body == NULL)
        return true;
    if (!check_object(body, known, CM_ARRAY_LEN(known), mistakes))
        return false;
    const json_t *given = json_object_get(body, "grace_seconds");
    bool whole = json_is_integer(given) ||
                 (json_is_real(given) && json_real_value(given) >= 0 &&
                  json_real_value(given) <= KEY_GRACE_MAX_S &&
                  json_real_value(given) == (double)(int64_t)json_real_value(given));
    int64_t seconds = whole ? (int64_t)json_number_value(given) : -1;
    if (given == NULL || json_is_null(given))
        seconds = 0;
    if (seconds < 0 || seconds > KEY_GRACE_MAX_S)
        mistakes_add(mistakes, "#/grace_seconds", "out_of_range",
                     "must be a whole number from 0 to %d", KEY_GRACE_MAX_S);
    *grace_s = seconds;
    return mistakes->count == 0;
}
