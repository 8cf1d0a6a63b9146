// SPDX-License-Identifier: Apache-2.0
// cm-admin: arguments, settings, and then the service. All mistakes of the
// configuration are reported at once, before anything is opened.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/service.h"
#include "common/base/log.h"

enum { EXIT_USAGE = 2 };

static int run(bool check_only)
{
    struct admin_settings settings = {.listen = NULL};
    struct buf errors = {.len = 0};
    int status = EXIT_USAGE;
    if (!admin_settings_load(&settings, environ, &errors)) {
        fputs(buf_cstr(&errors), stderr);
    } else if (check_only) {
        admin_settings_print_effective(&settings, stdout);
        status = 0;
    } else {
        log_set_level((enum log_level)settings.log_level);
        status = service_run(&settings);
    }
    admin_settings_free(&settings);
    buf_fini(&errors);
    return status;
}

int main(int argc, char **argv)
{
    const char *argument = argc == 2 ? argv[1] : "";
    log_init("cm-admin", "");
    if (argc == 1)
        return run(false);
    if (strcmp(argument, "--check-config") == 0)
        return run(true);
    if (strcmp(argument, "--version") == 0) {
        puts("cm-admin " CM_VERSION);
        return 0;
    }
    if (strcmp(argument, "--help") == 0) {
        admin_settings_print_help(stdout);
        return 0;
    }
    fputs("usage: cm-admin [--help | --version | --check-config]\n", stderr);
    return EXIT_USAGE;
}
