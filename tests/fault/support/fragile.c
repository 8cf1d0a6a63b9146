// SPDX-License-Identifier: Apache-2.0
// cm-models with a fault put in by the linker (--wrap=model_parse): a record that says
// "crash me" ends the process that reads it.
#include <stdlib.h>
#include <string.h>

#include "common/model/model.h"

struct model *__real_model_parse(struct slice record, struct mistakes *mistakes);
struct model *__wrap_model_parse(struct slice record, struct mistakes *mistakes);

struct model *__wrap_model_parse(struct slice record, struct mistakes *mistakes)
{
    if (memmem(record.ptr, record.len, "crash me", 8) != NULL)
        abort();
    return __real_model_parse(record, mistakes);
}
