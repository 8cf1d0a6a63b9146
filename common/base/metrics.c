// SPDX-License-Identifier: Apache-2.0
// The Prometheus text form (exposition format 0.0.4) of a table of rows. There
// is no registry: the table is constant data and values are an array beside it.
#include "common/base/metrics.h"

#include <string.h>

void metrics_render(struct buf *out, const struct metric *rows, const uint64_t *totals,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct metric *row = &rows[i];
        if (i == 0 || strcmp(rows[i - 1].name, row->name) != 0)
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                       row->type == METRIC_COUNTER ? "counter" : "gauge");
        buf_append_str(out, row->name);
        if (row->labels[0] != '\0')
            buf_printf(out, "{%s}", row->labels);
        buf_append_char(out, ' ');
        buf_append_u64(out, totals[i]);
        buf_append_char(out, '\n');
    }
}
