// SPDX-License-Identifier: Apache-2.0
// cm-models: which role is asked for. Without an argument it is the supervisor;
// --worker and --ops are what the supervisor starts itself as.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "services/heritage.h"
#include "services/ops.h"
#include "services/supervisor.h"
#include "services/tls_keeper.h"
#include "services/worker.h"

enum { EXIT_USAGE = 2 };

static bool load(struct settings *s)
{
    struct buf errors = {0};
    bool ok = settings_load(s, environ, &errors);
    if (!ok)
        fprintf(stderr, "cm-models: the settings cannot be used:\n%s", buf_cstr(&errors));
    buf_fini(&errors);
    if (ok)
        log_set_level((enum log_level)s->log_level);
    return ok;
}

static int refuse_heritage(void)
{
    LOG_ERROR("bad_heritage", LOG_CSTR("hint", "--worker and --ops are internal"));
    return EXIT_USAGE;
}

// A roll onto this program that cannot work.
static int refuse_other_build(void)
{
    log_init("cm-models", "child");
    LOG_ERROR("other_build", LOG_CSTR("version", CM_VERSION),
              LOG_CSTR("hint", "the supervisor is of a build that shares its memory otherwise; "
                               "this one needs a restart of the whole, not a roll"));
    return EXIT_USAGE;
}

static int run_worker(const struct settings *s, const struct heritage *h, struct shm *m)
{
    char id[HERITAGE_ID_MAX + 1];
    int listeners[2 * SETTINGS_WORKERS_MAX];
    heritage_id(h, h->incarnation, id);
    for (unsigned i = 0; i < CM_ARRAY_LEN(listeners); i++)
        listeners[i] = HERITAGE_FD_LISTENERS + (int)i;
    struct tls_vault *vault = tls_vault_attach(HERITAGE_FD_VAULT);
    if (vault == NULL)
        return refuse_heritage();
    struct worker_start start = {.settings = s,
                                 .slot = h->slot,
                                 .incarnation = h->incarnation,
                                 .id = id,
                                 .shm = m,
                                 .block = shm_block(m, h->slot, h->block),
                                 .heritage = h,
                                 .listeners = listeners,
                                 .tls_listeners = listeners + shm_slots(m),
                                 .vault = vault};
    int status = worker_run(&start);
    tls_vault_detach(vault);
    return status;
}

static int run_ops(const struct settings *s, const struct heritage *h, struct shm *m)
{
    struct ops_start start = {.settings = s,
                              .shm = m,
                              .block = shm_block(m, h->slot, h->block),
                              .listener = HERITAGE_FD_OPS};
    return ops_run(&start);
}

static int run_child(struct settings *s, const struct heritage *h)
{
    static char instance[32];
    bool is_worker = h->role == HERITAGE_WORKER;
    if (is_worker)
        snprintf(instance, sizeof(instance), "worker %u", h->slot);
    else
        snprintf(instance, sizeof(instance), "ops");
    log_init("cm-models", instance);
    prctl(PR_SET_NAME, is_worker ? "cm-worker" : "cm-ops");
    if (!load(s))
        return EXIT_USAGE;
    struct shm *m = shm_attach(HERITAGE_FD_MAPPING);
    if (m == NULL || h->slot > shm_slots(m) || (h->slot == shm_slots(m)) == is_worker)
        return refuse_heritage();
    // "auto" may mean something else by now; the supervisor's count is the truth.
    s->workers = shm_slots(m);
    int status = is_worker ? run_worker(s, h, m) : run_ops(s, h, m);
    shm_detach(m);
    return status;
}

static int run_supervisor(struct settings *s)
{
    log_init("cm-models", "supervisor");
    return load(s) ? supervisor_run(s) : EXIT_USAGE;
}

static int check_config(struct settings *s)
{
    char error[TLS_KEEPER_ERROR_MAX];
    bool ok = load(s);
    if (s->tls_cert_file != NULL && s->tls_key_file != NULL &&
        !tls_keeper_check(s->tls_cert_file, s->tls_key_file, error)) {
        fprintf(stderr, "cm-models: the certificate cannot be used:\n%s\n", error);
        ok = false;
    }
    if (!ok)
        return EXIT_USAGE;
    settings_print_effective(s, stdout);
    return EXIT_SUCCESS;
}

static int run(int argc, char **argv, struct settings *s)
{
    struct heritage h;
    if (argc == 1)
        return run_supervisor(s);
    switch (heritage_parse(argc - 1, argv + 1, &h)) {
    case HERITAGE_FITS:
        return run_child(s, &h);
    case HERITAGE_OTHER:
        return refuse_other_build();
    case HERITAGE_NONE:
        break;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        settings_print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("cm-models " CM_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--check-config") == 0)
        return check_config(s);
    fprintf(stderr, "usage: cm-models [--help | --version | --check-config]\n");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct settings s = {0};
    signal(SIGPIPE, SIG_IGN); // stderr may be a pipe whose reader has left
    int status = run(argc, argv, &s);
    settings_free(&s);
    return status;
}
