// SPDX-License-Identifier: Apache-2.0
// The shared mapping: a header, then two blocks a slot.
//
// Everything in it is atomic and nothing locks, so a process that dies at any
// point leaves nothing held. Only folding spans several values: the supervisor,
// its one writer, makes `fold` odd meanwhile, and who sums totals looks again
// when it saw it odd or changed; so a counter is never seen in both places or
// in none.
#include "services/shm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/util.h"
#include "services/settings.h"

// SHM_FORMAT is to be raised with every change of what a field means that sizes do
// not show.
enum { SHM_FORMAT = 2, FOLD_TRIES = 1000, SUSPECTS_MAX = 64 };

// What somebody died of. A record is known by a hash of itself.
struct suspect {
    _Atomic uint64_t what; // 0 = none
    _Atomic unsigned crashes;
};

struct shm {
    char layout[SHM_LAYOUT_MAX]; // of the program that made it
    unsigned slots;
    _Atomic bool draining;
    _Atomic int log_level;
    _Atomic uint64_t restarts;
    _Atomic uint64_t reloads_taken, reloads_refused;
    _Atomic uint64_t fold; // odd while totals move
    metric_value folded[METRIC_ROWS];
    unsigned next_suspect; // the supervisor's: whose place the next one takes
    struct suspect suspects[SUSPECTS_MAX];
    struct shm_block blocks[];
};

// FNV-1a over what the rows are called: a row that moved is another layout.
static uint32_t hash_rows(void)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < METRIC_ROWS; i++)
        for (int part = 0; part < 2; part++) {
            const char *at = part == 0 ? metrics_table[i].name : metrics_table[i].labels;
            do
                hash = (hash ^ (unsigned char)*at) * 16777619u;
            while (*at++ != '\0');
        }
    return hash;
}

void shm_layout(char out[SHM_LAYOUT_MAX])
{
    memset(out, 0, SHM_LAYOUT_MAX);
    int len = snprintf(out, SHM_LAYOUT_MAX, "%d.%zu.%zu.%d.%08x", (int)SHM_FORMAT,
                       sizeof(struct shm), sizeof(struct shm_block), (int)METRIC_ROWS, hash_rows());
    CM_ASSERT(len < SHM_LAYOUT_MAX);
}

static size_t mapping_size(unsigned slots)
{
    return sizeof(struct shm) + (slots + 1) * SHM_BLOCKS_PER_SLOT * sizeof(struct shm_block);
}

static struct shm *map(int fd, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

struct shm *shm_create(unsigned slots, int *fd)
{
    CM_ASSERT(slots >= 1 && slots <= SETTINGS_WORKERS_MAX);
    int made = memfd_create("cm-models", MFD_CLOEXEC);
    if (made < 0)
        return NULL;
    struct shm *m = NULL;
    if (ftruncate(made, (off_t)mapping_size(slots)) == 0)
        m = map(made, mapping_size(slots));
    if (m == NULL) {
        int why = errno;
        close(made);
        errno = why;
        return NULL;
    }
    shm_layout(m->layout);
    m->log_level = (int)log_level();
    m->slots = slots;
    *fd = made;
    return m;
}

struct shm *shm_attach(int fd)
{
    struct stat st;
    char layout[SHM_LAYOUT_MAX];
    if (fstat(fd, &st) != 0 || (size_t)st.st_size < mapping_size(1))
        return NULL;
    struct shm *m = map(fd, (size_t)st.st_size);
    if (m == NULL)
        return NULL;
    shm_layout(layout);
    if (memcmp(layout, m->layout, SHM_LAYOUT_MAX) == 0 &&
        (size_t)st.st_size == mapping_size(m->slots))
        return m;
    munmap(m, (size_t)st.st_size);
    return NULL;
}

void shm_detach(struct shm *m)
{
    if (m != NULL)
        munmap(m, mapping_size(m->slots));
}

unsigned shm_slots(const struct shm *m)
{
    return m->slots;
}

struct shm_block *shm_block(struct shm *m, unsigned slot, unsigned index)
{
    CM_ASSERT(slot <= m->slots && index < SHM_BLOCKS_PER_SLOT);
    return &m->blocks[slot * SHM_BLOCKS_PER_SLOT + index];
}

static bool is_covering(const struct shm_block *b, uint64_t now_ms)
{
    uint64_t beat = b->heartbeat_ms;
    return b->pid != 0 && b->accepting && now_ms < beat + SHM_STALL_MS;
}

bool shm_slot_covered(const struct shm *m, unsigned slot, uint64_t now_ms)
{
    CM_ASSERT(slot < m->slots);
    const struct shm_block *blocks = &m->blocks[slot * SHM_BLOCKS_PER_SLOT];
    return is_covering(&blocks[0], now_ms) || is_covering(&blocks[1], now_ms);
}

bool shm_draining(const struct shm *m)
{
    return m->draining;
}

void shm_set_draining(struct shm *m)
{
    m->draining = true;
}

enum log_level shm_log_level(const struct shm *m)
{
    return (enum log_level)m->log_level;
}

void shm_set_log_level(struct shm *m, enum log_level level)
{
    m->log_level = (int)level;
}

struct shm_reloads shm_reloads(const struct shm *m)
{
    return (struct shm_reloads){.taken = m->reloads_taken, .refused = m->reloads_refused};
}

void shm_count_reload(struct shm *m, bool taken)
{
    if (taken)
        m->reloads_taken++;
    else
        m->reloads_refused++;
}

uint64_t shm_restarts(const struct shm *m)
{
    return m->restarts;
}

void shm_block_claim(struct shm_block *b, uint64_t incarnation, uint64_t replaces)
{
    CM_ASSERT(b->incarnation == 0);
    b->incarnation = incarnation;
    b->replaces = replaces;
}

static struct suspect *find_suspect(struct shm *m, uint64_t what)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++)
        if (m->suspects[i].what == what)
            return &m->suspects[i];
    return NULL;
}

static void note_crash(struct shm *m, uint64_t what)
{
    struct suspect *s = find_suspect(m, what);
    if (s == NULL) {
        s = &m->suspects[m->next_suspect++ % SUSPECTS_MAX];
        s->what = 0;
        s->crashes = 0;
    }
    s->crashes++;
    s->what = what;
}

unsigned shm_crashes(const struct shm *m, uint64_t what)
{
    const struct suspect *s = find_suspect((struct shm *)(uintptr_t)m, what);
    return s == NULL || what == 0 ? 0 : s->crashes;
}

void shm_block_fold(struct shm *m, struct shm_block *b, bool unexpected)
{
    m->fold++;
    for (size_t i = 0; i < METRIC_ROWS; i++) {
        if (metrics_table[i].type == METRIC_COUNTER)
            metric_add(m->folded, i, metric_get(b->metrics, i));
        metric_set(b->metrics, i, 0);
    }
    m->fold++;
    if (unexpected && b->applying != 0)
        note_crash(m, b->applying);
    b->applying = b->saved_ms = 0;
    b->from_disk = false;
    b->accepting = b->ready = b->draining = false;
    b->feed_state = b->feed_reason = 0;
    b->epoch = b->revision = b->confirmed_ms = 0;
    b->heartbeat_ms = b->deadline_ms = 0;
    b->pid = 0;
    b->incarnation = b->replaces = 0;
    if (unexpected)
        m->restarts++;
}

static void sum(const struct shm *m, uint64_t totals[METRIC_ROWS])
{
    size_t blocks = (size_t)(m->slots + 1) * SHM_BLOCKS_PER_SLOT;
    for (size_t i = 0; i < METRIC_ROWS; i++) {
        totals[i] = 0;
        if (metrics_table[i].type != METRIC_COUNTER)
            continue;
        totals[i] = metric_get(m->folded, i);
        for (size_t b = 0; b < blocks; b++)
            totals[i] += metric_get(m->blocks[b].metrics, i);
    }
}

void shm_totals(const struct shm *m, uint64_t totals[METRIC_ROWS])
{
    // A fold takes microseconds; the bound is for a supervisor that died in one.
    for (int i = 0; i < FOLD_TRIES; i++) {
        uint64_t before = m->fold;
        sum(m, totals);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && before == m->fold)
            return;
    }
}
