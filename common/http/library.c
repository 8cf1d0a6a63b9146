// SPDX-License-Identifier: Apache-2.0
// The guard relies on how one build of libh2o works inside, so the build is read
// from the loaded library itself: its GNU build id, a digest of what was linked.
// Another build, be it of the same version, may differ in anything.
#include "common/http/library.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "common/base/util.h"

// libh2o0.13 2.2.5+dfsg2-7, amd64.
static const char *const verified[] = {"754fa732561d61d770a11bd025102aef04a0d123"};

enum { ID_MAX = 32 };

static struct {
    uintptr_t start, end;
    char id[2 * ID_MAX + 1];
} library;

static size_t align(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static void read_notes(const char *at, const char *end)
{
    while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)at;
        const char *name = at + sizeof(*note);
        const unsigned char *value = (const void *)(name + align(note->n_namesz));
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0 &&
            note->n_descsz <= ID_MAX)
            util_hex_encode(value, note->n_descsz, library.id);
        at = (const char *)value + align(note->n_descsz);
    }
}

static int on_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    (void)ctx;
    if (strstr(info->dlpi_name, "/libh2o.so") == NULL)
        return 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            library.start = start;
            library.end = start + part->p_memsz;
        } else if (part->p_type == PT_NOTE) {
            read_notes((const char *)start, (const char *)start + part->p_memsz);
        }
    }
    return 1;
}

// Before main: interposed functions ask from then on.
__attribute__((constructor)) static void find(void)
{
    dl_iterate_phdr(on_object, NULL);
}

const char *library_build_id(void)
{
    return library.id;
}

bool library_is_verified(void)
{
    for (size_t i = 0; i < CM_ARRAY_LEN(verified); i++)
        if (strcmp(library.id, verified[i]) == 0)
            return true;
    return false;
}

bool library_holds(const void *function)
{
    uintptr_t at = (uintptr_t)function;
    return at >= library.start && at < library.end;
}

void library_behind(const char *name, void *function)
{
    void *found = dlsym(RTLD_NEXT, name);
    CM_ASSERT(found != NULL);
    memcpy(function, &found, sizeof(found));
}

bool library_is_overruled(const char *const *names)
{
    for (; *names != NULL; names++)
        if (dlsym(RTLD_DEFAULT, *names) == dlsym(RTLD_NEXT, *names))
            return false;
    return true;
}
