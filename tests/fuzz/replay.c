// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer, so that any compiler's test run does it:
// each file of the corpus directory as it is, then some thousand random
// mutations of each, the same ones each time: a change fails by what it does and not by
// chance. CM_TEST_SEED makes other ones; it is printed, and the input that fails is left
// in the file that is named first.
//
//   fuzz_<target> <corpus directory> [mutations per file]
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "tests/fuzz/fuzz.h"

static uint64_t random_state;

static size_t below(size_t n) // xorshift64*
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)(random_state * 0x2545F4914F6CDD1DULL >> 33) % n;
}

static void read_file(const char *path, struct buf *out)
{
    char chunk[4096];
    size_t got;
    FILE *file = fopen(path, "rb");
    CM_ASSERT(file != NULL);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_append(out, chunk, got);
    fclose(file);
}

// Bytes that matter to some parser of ours.
static char telling_byte(void)
{
    static const char bytes[] = "\0\"\\{}[]:,/ \n\t0919-.eEu~%#?\x7f\x80\xc2\xe2\xed\xf0\xff";
    return below(4) == 0 ? (char)below(256) : bytes[below(sizeof(bytes) - 1)];
}

// One small change: a byte replaced, added or lost, a run doubled or lost.
static void mutate(struct buf *text)
{
    size_t at = below(text->len + 1), rest = text->len - at;
    size_t run = rest == 0 ? 0 : 1 + below(rest < 40 ? rest : 40);
    switch (rest == 0 ? 1 : below(5)) {
    case 0:
        text->ptr[at] = telling_byte();
        break;
    case 1:
        buf_append_char(text, '\0');
        memmove(text->ptr + at + 1, text->ptr + at, rest);
        text->ptr[at] = telling_byte();
        break;
    case 2:
        memmove(text->ptr + at, text->ptr + at + 1, rest - 1);
        text->len--;
        break;
    case 3:
        buf_reserve(text, run);
        memmove(text->ptr + at + run, text->ptr + at, rest);
        text->len += run;
        break;
    default:
        memmove(text->ptr + at, text->ptr + at + run, rest - run);
        text->len -= run;
        break;
    }
}

// From memory of exactly its size, so that reading past it is seen. Written to
// `path` first: an abort leaves it there.
static void run_once(const struct buf *text, const char *path)
{
    FILE *file = fopen(path, "wb");
    CM_ASSERT(file != NULL && fwrite(text->ptr, 1, text->len, file) == text->len);
    fclose(file);
    char *exact = xmalloc(text->len);
    if (text->len > 0)
        memcpy(exact, text->ptr, text->len);
    LLVMFuzzerTestOneInput((const uint8_t *)exact, text->len);
    free(exact);
}

static void run_file(const char *path, size_t mutations, const char *last)
{
    struct buf whole = {0}, changed = {0};
    read_file(path, &whole);
    run_once(&whole, last);
    for (size_t i = 0; i < mutations; i++) {
        buf_clear(&changed);
        buf_append_slice(&changed, buf_slice(&whole));
        for (size_t n = 1 + below(6); n > 0; n--)
            mutate(&changed);
        run_once(&changed, last);
    }
    buf_fini(&whole);
    buf_fini(&changed);
}

int main(int argc, char **argv)
{
    const char *seed = getenv("CM_TEST_SEED");
    size_t mutations = argc > 2 ? strtoul(argv[2], NULL, 10) : 3000, files = 0;
    random_state = seed != NULL ? strtoull(seed, NULL, 0) : 0;
    if (random_state == 0)
        random_state = 0x5eed;
    DIR *corpus = argc > 1 ? opendir(argv[1]) : NULL;
    if (corpus == NULL) {
        fprintf(stderr, "usage: %s <corpus directory> [mutations per file]\n", argv[0]);
        return 2;
    }
    char last[] = "/tmp/cm-fuzz-XXXXXX", path[4096];
    int fd = mkstemp(last);
    CM_ASSERT(fd >= 0);
    close(fd);
    printf("%s: CM_TEST_SEED=0x%llx, last input in %s\n", argv[0], (unsigned long long)random_state,
           last);
    fflush(stdout);
    for (const struct dirent *entry; (entry = readdir(corpus)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        run_file(path, mutations, last);
        files++;
    }
    closedir(corpus);
    unlink(last);
    printf("%zu files, %zu inputs\n", files, files * (mutations + 1));
    return files > 0 ? 0 : 1;
}
