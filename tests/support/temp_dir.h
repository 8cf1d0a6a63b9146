// SPDX-License-Identifier: Apache-2.0
// An empty directory for one test, gone with it.
#pragma once

enum { TEMP_PATH_MAX = 256 };

// cmocka's setup and teardown; temp_dir is its path meanwhile.
int temp_dir_setup(void **state);
int temp_dir_teardown(void **state);
extern char temp_dir[TEMP_PATH_MAX];

// "<temp_dir>/<name>", valid until the next call.
const char *temp_path(const char *name);
