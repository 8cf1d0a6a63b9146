// SPDX-License-Identifier: Apache-2.0
// The store: a head, a log that is trimmed, models and keys, written by two admins
// with compare-and-set. Every state that it ever had stays as a node, so that what
// a worker serves can be compared with the truth at its position.
//
// The admins are taken as one in what they remember (the journal): `tip` is the
// newest node that was ever committed. When the store loses writes, or all, a
// repair makes a new epoch above every revision known, with the parents that it
// continues, and denies again what a lost write had denied.
#include "tests/support/feed_model.h"

#include <string.h>

// The texts of all operations that a node can have, and the digests of all
// records, made once.
static char model_line[MODELS][VERSIONS][16], remove_line[MODELS][8];
static char key_line[2][KEYS][SECRET_HEX_LEN + 4];
static struct digest record_digest[MODELS][VERSIONS];

static void copy_line(char *out, struct buf *line)
{
    memcpy(out, line->ptr, line->len);
    out[line->len] = '\0';
    buf_clear(line);
}

void feed_model_prepare(void)
{
    struct buf line = {NULL, 0, 0};
    for (int m = 0; m < MODELS; m++) {
        struct slice id = {&"abcdefgh"[m], 1};
        for (int v = 1; v < VERSIONS; v++) {
            char record[4] = {(char)('0' + v / 100), (char)('0' + v / 10 % 10),
                              (char)('0' + v % 10)};
            record_digest[m][v] = digest_record(id, slice_of(record));
            oplog_add_model(&line, id, slice_of(record));
            copy_line(model_line[m][v], &line);
        }
        oplog_add_remove(&line, id);
        copy_line(remove_line[m], &line);
    }
    for (int k = 0; k < KEYS; k++) {
        struct secret_digest key;
        memset(&key, k, sizeof(key));
        for (int deny = 0; deny < 2; deny++) {
            oplog_add_key(&line, &key, deny);
            copy_line(key_line[deny][k], &line);
        }
    }
    buf_fini(&line);
}

struct node *node_of(int n)
{
    return &sim.nodes[n];
}

int node_of_change(uint64_t change)
{
    uint64_t n = change - CHANGE_BASE;
    return n < (uint64_t)sim.node_count ? (int)n : -1;
}

bool node_is_before(int older, int newer)
{
    while (newer >= 0 && newer != older)
        newer = node_of(newer)->before;
    return newer == older;
}

bool node_has_parent(int n, uint64_t epoch)
{
    const struct node *node = node_of(n);
    for (int i = 0; i < node->parent_count; i++)
        if (node->parents[i] == epoch)
            return true;
    return false;
}

bool node_entry(int n, unsigned part, struct oplog_entry *out)
{
    const struct node *node = node_of(n);
    struct slice rest = {node->ops, node->ops_len}, ops = rest;
    for (unsigned i = 0; sim.parted && i <= part; i++) {
        if (i > 0 && rest.len == 0)
            return false;
        ops.ptr = rest.ptr;
        (void)slice_take(&rest, '\n');
        ops.len = (size_t)(rest.ptr - ops.ptr);
    }
    *out = (struct oplog_entry){.revision = node->revision,
                                .part = part,
                                .more = sim.parted && rest.len > 0,
                                .change = CHANGE_BASE + (uint64_t)n,
                                .previous = CHANGE_BASE + (uint64_t)node->before,
                                .ops = ops};
    return sim.parted || part == 0;
}

static uint64_t new_epoch(void)
{
    return EPOCH_BASE + sim.epochs++;
}

// A copy of the node before (-1: of nothing), to be changed and then installed.
static int new_node(int before)
{
    int n = sim.node_count++;
    struct node *node = node_of(n);
    if (before >= 0)
        *node = *node_of(before);
    else
        memset(node, 0, sizeof(*node));
    node->before = (int16_t)before;
    node->ops_len = 0;
    node->bell_keys = node->bell_denies = 0;
    return n;
}

static void add_line(struct node *node, const char *line)
{
    size_t len = strlen(line);
    memcpy(node->ops + node->ops_len, line, len);
    node->ops_len = (uint16_t)(node->ops_len + len);
}

static void set_model(struct node *node, int m, uint16_t version)
{
    uint16_t old = node->version[m];
    if (old > 0)
        node->digest = digest_subtract(node->digest, record_digest[m][old]);
    if (version > 0)
        node->digest = digest_add(node->digest, record_digest[m][version]);
    node->models = (uint8_t)(node->models + (version > 0) - (old > 0));
    node->version[m] = version;
    add_line(node, version > 0 ? model_line[m][version] : remove_line[m]);
}

static void set_key(struct node *node, int k, enum key_standing standing)
{
    bool deny = standing == KEY_BAD;
    node->keys[k] = (struct sim_key){(uint8_t)standing, node->revision};
    node->bell_keys |= (uint8_t)(1 << k);
    if (deny)
        node->bell_denies |= (uint8_t)(1 << k);
    add_line(node, key_line[deny][k]);
}

static void change_something(struct node *node)
{
    if (sim_chance(110)) {
        int m = (int)sim_random(MODELS);
        bool remove = node->version[m] > 0 && sim_chance(70);
        if (remove || sim.next_version < VERSIONS)
            set_model(node, m, remove ? 0 : sim.next_version++);
    } else {
        int k = (int)sim_random(KEYS);
        if ((node->bell_keys & 1 << k) == 0) // one record of a key per revision
            set_key(node, k,
                    node->keys[k].standing == KEY_GOOD && sim_chance(150) ? KEY_BAD : KEY_GOOD);
    }
}

// The store's head moved (or went): since when is a key not good in it?
static void note_keys(void)
{
    if (sim.store.head < 0)
        return;
    const struct node *node = node_of(sim.store.head);
    for (int k = 0; k < KEYS; k++) {
        if (node->keys[k].standing == KEY_GOOD)
            sim.store.bad_since[k] = NEVER;
        else if (sim.store.bad_since[k] == NEVER)
            sim.store.bad_since[k] = sim.now;
    }
}

static void append_log(int n)
{
    struct store *s = &sim.store;
    s->log[s->log_end++] = (int16_t)n;
    while (s->log_end - s->log_first > s->log_keep)
        s->log_first++;
}

static void install(int n)
{
    sim.store.head = sim.store.models = sim.store.tip = n;
    note_keys();
    const struct node *node = node_of(n);
    sim_trace("store: node %d = epoch %llx revision %u change %llx before %d: %.*s", n,
              (unsigned long long)node->epoch, node->revision, (unsigned long long)n + CHANGE_BASE,
              node->before, (int)node->ops_len, node->ops);
    net_ring(n);
}

static bool has_room(void)
{
    return sim.node_count < NODES - 2; // one for a repair at the end
}

// One revision by an admin that read the store some time ago: refused when that
// is no longer how it is.
void store_commit(int admin)
{
    struct store *s = &sim.store;
    if (s->head < 0 || s->foreign || s->newer || s->garbled || !has_room())
        return;
    if (s->admin_base[admin] != s->head) {
        s->admin_base[admin] = s->head;
        if (sim_chance(128))
            return; // it was holding a stale one; it will plan again
    }
    int n = new_node(s->head);
    struct node *node = node_of(n);
    node->revision++;
    for (uint32_t ops = 1 + sim_random(3); ops > 0; ops--)
        change_something(node);
    if (s->corrupt >= 0 && node->version[s->corrupt] != node_of(s->head)->version[s->corrupt]) {
        s->corrupt = -1; // written anew
        s->fault_at = sim.now;
    }
    append_log(n);
    install(n);
    s->admin_base[admin] = n;
}

void store_init(void)
{
    struct store *s = &sim.store;
    if (s->head >= 0 || s->models >= 0 || s->log_end > s->log_first || !has_room())
        return;
    int n = new_node(-1);
    node_of(n)->epoch = new_epoch();
    s->lost = false;
    install(n);
}

static void add_parent(struct node *node, uint64_t epoch)
{
    for (int i = 0; i < node->parent_count; i++)
        if (node->parents[i] == epoch)
            return;
    if (node->parent_count < HEAD_PARENTS_MAX)
        node->parents[node->parent_count++] = epoch;
}

static void add_lineage(struct node *node, const struct node *of)
{
    add_parent(node, of->epoch);
    for (int i = 0; i < of->parent_count; i++)
        add_parent(node, of->parents[i]);
}

static uint16_t highest_revision(void)
{
    uint16_t highest = 0;
    for (int n = 0; n < sim.node_count; n++)
        if (n != sim.foreign_node && node_of(n)->revision > highest)
            highest = node_of(n)->revision;
    return highest;
}

// What lost nodes had denied is denied again.
static void deny_again(struct node *node, int from)
{
    for (int n = 0; n < sim.node_count - 1; n++) {
        const struct node *lost = node_of(n);
        if (n == sim.foreign_node || lost->bell_denies == 0 || node_is_before(n, from))
            continue;
        for (int k = 0; k < KEYS; k++)
            if ((lost->bell_denies & ~node->bell_denies & 1 << k) != 0)
                set_key(node, k, KEY_BAD);
    }
}

// An operator accepts what is there instead: other models, no keys, and all that was
// ever held named among the parents.
static int accepted_node(void)
{
    int n = new_node(-1);
    struct node *node = node_of(n);
    for (int m = 0; m < MODELS; m++)
        if (sim.next_version < VERSIONS && sim_chance(128))
            set_model(node, m, sim.next_version++);
    node->ops_len = 0;
    sim.accepted++;
    return n;
}

// A new epoch that continues what the store has and what the journal knows: a
// repair, a restore and an accepted store are all this.
void store_repair(void)
{
    struct store *s = &sim.store;
    int room = NODES - (sim.peace_at > 0 ? 1 : 2); // the last one is for the end
    if (s->tip < 0 || s->foreign || s->newer || s->garbled || sim.node_count >= room)
        return;
    bool restore = s->head < 0 || s->corrupt >= 0;
    int from = restore ? s->tip : s->head;
    uint16_t revision = highest_revision();
    bool accept = restore && sim_chance(60);
    int n = accept ? accepted_node() : new_node(from);
    struct node *node = node_of(n);
    node->revision = (uint16_t)(revision + 1 + sim_random(2));
    node->epoch = new_epoch();
    node->parent_count = 0;
    if (s->head >= 0)
        add_lineage(node, node_of(s->head));
    add_lineage(node, node_of(s->tip));
    for (int other = n - 1; other >= 0; other--) // histories that were begun by mistake
        if (other != sim.foreign_node)
            add_parent(node, node_of(other)->epoch);
    if (!accept)
        deny_again(node, from);
    if (restore || sim_chance(128))
        s->log_first = s->log_end; // it may leave the log to those who come after
    else
        append_log(n);
    s->corrupt = -1;
    s->lost = false;
    s->fault_at = sim.now;
    install(n);
}

static void lose(void)
{
    struct store *s = &sim.store;
    int to = s->head;
    for (uint32_t back = 1 + sim_random(4); back > 0 && to >= 0 && node_of(to)->before >= 0; back--)
        if (node_of(node_of(to)->before)->epoch == node_of(to)->epoch || sim_chance(60))
            to = node_of(to)->before;
    if (to < 0 || to == s->head)
        return;
    s->head = s->models = to;
    while (s->log_end > s->log_first &&
           node_of(s->log[s->log_end - 1])->revision > node_of(to)->revision)
        s->log_end--;
    s->lost = true;
    note_keys();
    sim_trace("store: lost writes, back at node %d revision %u", to, node_of(to)->revision);
    if (sim_chance(220)) // a failover breaks all links; anything else may not
        for (int i = 0; i < sim.worker_count; i++)
            net_cut(&sim.workers[i], 1 + sim_random(60));
    if ((sim.faults & 1U << FAULT_NO_ADMIN) == 0)
        sim_push(10 + sim_random(500), EVENT_REPAIR);
}

static void wipe(bool all)
{
    struct store *s = &sim.store;
    s->head = -1;
    if (all) {
        s->models = -1;
        s->log_first = s->log_end;
        s->corrupt = -1;
    }
    sim_trace("store: %s", all ? "flushed" : "head deleted");
    if (sim_chance(60))
        store_init();
    if ((sim.faults & 1U << FAULT_NO_ADMIN) == 0)
        sim_push(10 + sim_random(500), EVENT_REPAIR);
}

static void corrupt(void)
{
    struct store *s = &sim.store;
    int m = (int)sim_random(MODELS);
    if (s->head >= 0 && node_of(s->head)->version[m] > 0)
        s->corrupt = m;
    sim_trace("store: record of model %d deleted by hand", s->corrupt);
}

void store_fault(enum fault fault)
{
    struct store *s = &sim.store;
    s->fault_at = sim.now;
    if (fault == FAULT_LOSE)
        lose();
    else if (fault == FAULT_FLUSH || fault == FAULT_DELETE_HEAD)
        wipe(fault == FAULT_FLUSH);
    else if (fault == FAULT_CORRUPT)
        corrupt();
    else if (fault == FAULT_FOREIGN)
        s->foreign = !s->foreign;
    else if (fault == FAULT_NEWER)
        s->newer = !s->newer;
    else if (fault == FAULT_GARBLED)
        s->garbled = !s->garbled;
    sim_trace("store: foreign %d newer %d garbled %d", s->foreign, s->newer, s->garbled);
}

// Somebody puts it right.
void store_heal(void)
{
    struct store *s = &sim.store;
    s->foreign = s->newer = s->garbled = false;
    s->fault_at = sim.now;
    if (s->head < 0 && s->tip < 0) {
        s->models = -1;
        store_init();
    }
    if (s->head < 0 || s->corrupt >= 0 || (s->lost && sim_chance(128)))
        store_repair();
}

int store_view(enum head_status *status)
{
    const struct store *s = &sim.store;
    *status = HEAD_OK;
    if (s->newer)
        *status = HEAD_NEWER;
    else if (s->garbled)
        *status = HEAD_GARBLED;
    else if (s->foreign)
        return sim.foreign_node;
    else if (s->head < 0)
        *status = HEAD_ABSENT;
    return s->head;
}

void store_reset(void)
{
    static const int keeps[] = {2, 4, NODES};
    struct store *s = &sim.store;
    memset(s, 0, sizeof(*s));
    s->head = s->models = s->tip = s->corrupt = -1;
    s->log_keep = keeps[sim_random(3)];
    for (int k = 0; k < KEYS; k++)
        s->bad_since[k] = 0;
    sim.foreign_node = new_node(-1);
    struct node *foreign = node_of(sim.foreign_node);
    foreign->epoch = new_epoch();
    foreign->revision = (uint16_t)sim_random(12);
    set_model(foreign, 0, sim.next_version++);
}
