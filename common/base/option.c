// SPDX-License-Identifier: Apache-2.0
// From environment variables to a settings struct by one table.
//
// Loading never stops at a mistake: an operator wants all of them at once. A
// field is written only with a checked value; where the text was wrong, the
// field keeps its zero and the program does not start.
#include "common/base/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/known_names.h"
#include "common/base/nearest.h"
#include "common/base/slice.h"

enum { FILE_VALUE_MAX = 64 * 1024 };

struct loader {
    const struct option_table *table;
    char *const *env;
    void *settings;
    struct buf *errors;
};

static void *field(const struct option *o, const void *settings)
{
    return (char *)(uintptr_t)settings + o->offset;
}

static struct slice env_value(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env != NULL; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return slice_of(*env + len + 1);
    return SLICE_NONE;
}

static bool takes_file(const struct option *o)
{
    return (o->flags & (OPTION_SECRET | OPTION_FROM_FILE)) != 0;
}

// The value in the file that NAME_FILE names, NUL-ended, caller frees; NULL
// after noting why not.
static char *read_file(struct loader *l, const char *name, const char *path)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        buf_printf(l->errors, "%s: cannot read %s: %s\n", name, path, strerror(errno));
        return NULL;
    }
    char *text = xmalloc(FILE_VALUE_MAX + 1);
    size_t len = fread(text, 1, FILE_VALUE_MAX + 1, f);
    bool failed = ferror(f) != 0;
    int why = errno;
    fclose(f);
    if (failed || len > FILE_VALUE_MAX || memchr(text, '\0', len) != NULL) {
        buf_printf(l->errors, "%s: cannot use %s: %s\n", name, path,
                   failed ? strerror(why) : "not a text of at most 64 KiB");
        free(text);
        return NULL;
    }
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    text[len] = '\0';
    return text;
}

// "host:port", "[v6]:port", ":port" is refused: say which interface is meant.
static bool address_ok(struct slice text)
{
    uint64_t port;
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon < 2 || !slice_parse_u64(slice_skip(text, colon), 65535, &port))
        return false;
    struct slice host = slice_make(text.ptr, colon - 1);
    bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    return bracketed || memchr(host.ptr, ':', host.len) == NULL;
}

static bool choice_index(const char *choices, struct slice text, int *out)
{
    struct slice rest = slice_of(choices);
    for (int i = 0; rest.len > 0; i++)
        if (slice_equal(slice_take(&rest, '|'), text)) {
            *out = i;
            return true;
        }
    return false;
}

static void store_uint(struct loader *l, const struct option *o, struct slice text)
{
    uint64_t n;
    if (!slice_parse_u64(text, o->max, &n) || n < o->min)
        buf_printf(l->errors,
                   "%s: '%.*s' is not a whole number from %" PRIu64 " to %" PRIu64 "%s%s\n",
                   o->name, SLICE_FMT(text), o->min, o->max, o->unit == NULL ? "" : " ",
                   o->unit == NULL ? "" : o->unit);
    else
        *(uint64_t *)field(o, l->settings) = n;
}

static void store(struct loader *l, const struct option *o, struct slice text)
{
    int index;
    switch (o->type) {
    case OPTION_UINT:
        store_uint(l, o, text);
        return;
    case OPTION_CHOICE:
        if (choice_index(o->choices, text, &index))
            *(int *)field(o, l->settings) = index;
        else
            buf_printf(l->errors, "%s: '%.*s' is not one of %s\n", o->name, SLICE_FMT(text),
                       o->choices);
        return;
    case OPTION_ADDRESS:
        if (!address_ok(text)) {
            buf_printf(l->errors, "%s: '%.*s' is not host:port\n", o->name, SLICE_FMT(text));
            return;
        }
        break;
    case OPTION_STRING:
    case OPTION_FILE:
        break;
    }
    *(char **)field(o, l->settings) = slice_dup(text);
}

static void load_one(struct loader *l, const struct option *o)
{
    char file_name[96];
    struct slice direct = env_value(l->env, o->name);
    struct slice path = SLICE_NONE;
    if (takes_file(o)) {
        snprintf(file_name, sizeof(file_name), "%s_FILE", o->name);
        path = env_value(l->env, file_name);
    }
    if (direct.ptr != NULL && path.ptr != NULL) {
        buf_printf(l->errors, "%s and %s are both set: keep one\n", o->name, file_name);
    } else if (path.ptr != NULL) {
        char *text = read_file(l, file_name, path.ptr);
        if (text != NULL) {
            store(l, o, slice_of(text));
            explicit_bzero(text, strlen(text));
            free(text);
        }
    } else if (direct.ptr != NULL) {
        store(l, o, direct);
    } else if (o->fallback != NULL) {
        store(l, o, slice_of(o->fallback));
    } else if ((o->flags & OPTION_REQUIRED) != 0) {
        buf_printf(l->errors, "%s is required: %s\n", o->name, o->help);
    }
}

static bool is_own(const struct option_table *table, struct slice name)
{
    char file_name[96];
    for (size_t i = 0; i < table->count; i++) {
        const struct option *o = &table->options[i];
        if (slice_equal(name, slice_of(o->name)))
            return true;
        snprintf(file_name, sizeof(file_name), "%s_FILE", o->name);
        if (takes_file(o) && slice_equal(name, slice_of(file_name)))
            return true;
    }
    return false;
}

// A sister's variable, also in its _FILE form.
static bool is_sister(struct slice name)
{
    struct slice stem = name;
    if (name.len > 5 && memcmp(name.ptr + name.len - 5, "_FILE", 5) == 0)
        stem.len -= 5;
    for (size_t i = 0; i < known_names_count; i++)
        if (slice_equal(name, slice_of(known_names[i])) ||
            slice_equal(stem, slice_of(known_names[i])))
            return true;
    return false;
}

static bool all_of(struct slice s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (strchr(set, s.ptr[i]) == NULL)
            return false;
    return true;
}

// What Kubernetes puts into every pod for each service of the namespace:
// X_SERVICE_HOST, X_SERVICE_PORT[_NAME], X_PORT, X_PORT_<n>_<...>.
static bool is_service_link(struct slice name)
{
    for (size_t at = 3; at < name.len; at++) {
        struct slice rest = slice_skip(name, at);
        if (slice_equal(rest, SLICE_LIT("_SERVICE_HOST")) ||
            slice_starts_with(rest, SLICE_LIT("_SERVICE_PORT")) ||
            slice_equal(rest, SLICE_LIT("_PORT")))
            return true;
        if (slice_starts_with(rest, SLICE_LIT("_PORT_"))) {
            struct slice tail = slice_skip(rest, 6);
            struct slice digits = slice_take(&tail, '_');
            if (digits.len > 0 && all_of(digits, "0123456789"))
                return true;
        }
    }
    return false;
}

static void note_unknown(struct loader *l, struct slice name)
{
    struct nearest best;
    nearest_init(&best, name, name.len / 3 + 2);
    for (size_t i = 0; i < l->table->count; i++)
        nearest_offer(&best, slice_of(l->table->options[i].name));
    for (size_t i = 0; i < known_names_count; i++)
        nearest_offer(&best, slice_of(known_names[i]));
    buf_printf(l->errors, "%.*s: unknown variable", SLICE_FMT(name));
    if (best.found.len > 0)
        buf_printf(l->errors, "; did you mean %.*s?", SLICE_FMT(best.found));
    buf_append_char(l->errors, '\n');
}

bool option_load(const struct option_table *table, char *const *environ_, void *settings,
                 struct buf *errors)
{
    struct loader l = {table, environ_, settings, errors};
    size_t before = errors->len;
    for (size_t i = 0; i < table->count; i++)
        load_one(&l, &table->options[i]);
    for (; *environ_ != NULL; environ_++) {
        struct slice rest = slice_of(*environ_);
        struct slice name = slice_take(&rest, '=');
        if (slice_starts_with(name, SLICE_LIT("CM_")) && !is_own(table, name) && !is_sister(name) &&
            !is_service_link(name))
            note_unknown(&l, name);
    }
    return errors->len == before;
}

static bool is_text(const struct option *o)
{
    return o->type == OPTION_STRING || o->type == OPTION_ADDRESS || o->type == OPTION_FILE;
}

bool option_reload(const struct option_table *table, const char *name, char *const *environ_,
                   void *settings, struct buf *errors)
{
    struct loader l = {table, environ_, settings, errors};
    size_t before = errors->len, i = 0;
    while (i < table->count && strcmp(table->options[i].name, name) != 0)
        i++;
    CM_ASSERT(i < table->count && !is_text(&table->options[i]));
    load_one(&l, &table->options[i]);
    return errors->len == before;
}

void option_free(const struct option_table *table, void *settings)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option *o = &table->options[i];
        if (!is_text(o))
            continue;
        char **text = field(o, settings);
        if (*text != NULL)
            explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}

void option_print_help(const struct option_table *table, FILE *out)
{
    fprintf(out, "%s: %s\n\nusage: %s [--help | --version | --check-config]\n\n", table->program,
            table->purpose, table->program);
    fprintf(out, "Environment (NAME_FILE reads the value from a file where marked [_FILE]):\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct option *o = &table->options[i];
        fprintf(out, "  %-24s %s", o->name, o->help);
        if (o->type == OPTION_CHOICE)
            fprintf(out, "; %s", o->choices);
        if (o->type == OPTION_UINT)
            fprintf(out, "; %" PRIu64 "..%" PRIu64 "%s%s", o->min, o->max,
                    o->unit == NULL ? "" : " ", o->unit == NULL ? "" : o->unit);
        fprintf(out, " (%s)%s\n",
                o->fallback != NULL && o->fallback[0] != '\0' ? o->fallback
                : (o->flags & OPTION_REQUIRED) != 0           ? "required"
                                                              : "unset",
                takes_file(o) ? " [_FILE]" : "");
    }
}

static void print_choice(const struct option *o, int index, FILE *out)
{
    struct slice rest = slice_of(o->choices), word = SLICE_NONE;
    for (int i = 0; i <= index; i++)
        word = slice_take(&rest, '|');
    fprintf(out, "%.*s", SLICE_FMT(word));
}

void option_print_effective(const struct option_table *table, const void *settings, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option *o = &table->options[i];
        fprintf(out, "%s=", o->name);
        if (o->type == OPTION_UINT) {
            fprintf(out, "%" PRIu64, *(const uint64_t *)field(o, settings));
        } else if (o->type == OPTION_CHOICE) {
            print_choice(o, *(const int *)field(o, settings), out);
        } else {
            const char *text = *(char *const *)field(o, settings);
            if (text != NULL)
                fprintf(out, "%s", (o->flags & OPTION_SECRET) != 0 ? "***" : text);
        }
        fprintf(out, "\n");
    }
}
