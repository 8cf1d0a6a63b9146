// SPDX-License-Identifier: Apache-2.0
// A file that is wrong anywhere is refused as a whole: half a set of tokens
// would lock somebody out without a word.
#include "admin/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

static bool is_name(struct slice s)
{
    if (s.len == 0 || s.len > TOKEN_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr("._@+-", c, 5) != NULL))
            return false;
    }
    return true;
}

static struct slice take_word(struct slice *line)
{
    size_t n = 0;
    *line = slice_trim(*line);
    while (n < line->len && line->ptr[n] != ' ' && line->ptr[n] != '\t')
        n++;
    struct slice word = slice_make(line->ptr, n);
    *line = slice_trim(slice_skip(*line, n));
    return word;
}

// Returns what is wrong with the line, or NULL.
static const char *parse_line(struct slice line, struct token *out)
{
    struct slice name = take_word(&line);
    struct slice role = take_word(&line);
    struct slice hash = take_word(&line);
    if (line.len > 0)
        return "more than three words";
    if (!is_name(name))
        return "the name must be 1 to 64 of A-Z a-z 0-9 . _ @ + -";
    if (!slice_equal(role, SLICE_LIT("viewer")) && !slice_equal(role, SLICE_LIT("editor")))
        return "the role must be viewer or editor";
    if (!slice_starts_with(hash, SLICE_LIT("sha256:")) ||
        !secret_digest_parse(slice_skip(hash, 7), &out->digest))
        return "the third word must be sha256: and 64 hexadecimal digits";
    memcpy(out->name, name.ptr, name.len);
    out->name[name.len] = '\0';
    out->role = slice_equal(role, SLICE_LIT("editor")) ? ROLE_EDITOR : ROLE_VIEWER;
    return NULL;
}

static const char *repeats(const struct tokens *t, const struct token *token)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->items[i].name, token->name) == 0)
            return "this name is taken by an earlier line";
        if (secret_digest_equal(&t->items[i].digest, &token->digest))
            return "this hash is on an earlier line";
    }
    return t->count == TOKENS_MAX ? "too many tokens" : NULL;
}

bool tokens_parse(struct slice text, struct tokens *out, struct buf *errors)
{
    struct tokens t = {.items = xcalloc(TOKENS_MAX, sizeof(struct token))};
    size_t mistakes = 0;
    for (size_t number = 1; text.len > 0; number++) {
        struct slice line = slice_trim(slice_take(&text, '\n'));
        struct token token = {.role = ROLE_VIEWER};
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        const char *wrong = parse_line(line, &token);
        if (wrong == NULL)
            wrong = repeats(&t, &token);
        if (wrong == NULL) {
            t.items[t.count++] = token;
        } else {
            buf_printf(errors, "CM_ADMIN_TOKENS_FILE line %zu: %s\n", number, wrong);
            mistakes++;
        }
    }
    if (mistakes == 0 && t.count == 0) {
        buf_append_str(errors, "CM_ADMIN_TOKENS_FILE: it holds no token\n");
        mistakes++;
    }
    if (mistakes > 0) {
        tokens_fini(&t);
        return false;
    }
    *out = t;
    return true;
}

static bool read_all(int fd, struct buf *out)
{
    for (;;) {
        buf_reserve(out, 4096);
        ssize_t got = read(fd, out->ptr + out->len, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        out->len += (size_t)got;
        if (out->len > FILE_MAX) {
            errno = EFBIG;
            return false;
        }
    }
}

bool tokens_load(const char *path, struct tokens *out, struct buf *errors)
{
    struct buf text = {.len = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read_all(fd, &text);
    if (!ok)
        buf_printf(errors, "CM_ADMIN_TOKENS_FILE: cannot read %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (ok)
        ok = tokens_parse(buf_slice(&text), out, errors);
    buf_fini(&text);
    return ok;
}

void tokens_fini(struct tokens *t)
{
    free(t->items);
    *t = (struct tokens){.count = 0};
}

const struct token *tokens_find(const struct tokens *t, struct slice secret)
{
    struct secret_digest digest;
    size_t found = SIZE_MAX;
    secret_hash(secret, &digest);
    for (size_t i = 0; i < t->count; i++) {
        unsigned different = 0;
        for (size_t b = 0; b < SECRET_DIGEST_LEN; b++)
            different |= (unsigned)(t->items[i].digest.bytes[b] ^ digest.bytes[b]);
        size_t hit = (size_t)0 - (size_t)(different == 0); // all ones when equal
        found = (found & ~hit) | (i & hit);
    }
    return found == SIZE_MAX ? NULL : &t->items[found];
}
