// SPDX-License-Identifier: Apache-2.0
// Foreign catalogs: what their entries become, and a reason for each left out.
#include <string.h>

#include "admin/import/import.h"
#include "common/model/doc.h"
#include "common/model/model.h"
#include "tests/support/test.h"

enum { NATIVE, OPENROUTER };

static bool read_text(int format, const char *text, struct import *out)
{
    struct doc_error error;
    struct mistakes mistakes;
    json_t *doc = doc_parse(slice_of(text), &error);
    assert_non_null(doc);
    mistakes_init(&mistakes);
    bool ok = import_read(format, doc, out, &mistakes);
    assert_int_equal(ok, mistakes.count == 0);
    json_decref(doc);
    return ok;
}

// Entries as "id:doc" or "id!" when skipped.
static void reads(int format, const char *text, const char *wanted)
{
    struct import import = {.count = 0};
    struct buf got = {.len = 0};
    assert_true(read_text(format, text, &import));
    for (size_t i = 0; i < import.count; i++) {
        const struct import_entry *entry = &import.entries[i];
        buf_printf(&got, "%s%s", i > 0 ? " " : "", entry->id);
        assert_int_equal(entry->doc == NULL, entry->reason != NULL);
        if (entry->doc == NULL) {
            assert_true(strlen(entry->reason) > 5);
            buf_append_char(&got, '!');
            continue;
        }
        buf_append_char(&got, ':');
        doc_write(&got, entry->doc);
        // Every entry that is not skipped must suit the validator's grammar.
        json_t *model = model_complete(entry->doc, slice_of(entry->id), 1, NULL);
        assert_non_null(model);
        json_decref(model);
    }
    assert_slice(buf_slice(&got), wanted);
    buf_fini(&got);
    import_fini(&import);
}

static void refuses(int format, const char *text)
{
    struct import import = {.count = 0};
    assert_false(read_text(format, text, &import));
    import_fini(&import);
}

static void native(void **state)
{
    (void)state;
    reads(NATIVE, "{\"models\":[]}", "");
    reads(NATIVE, "[{\"id\":\"a/b\",\"status\":\"disabled\"}]",
          "a/b:{\"id\":\"a/b\",\"status\":\"disabled\"}");
    reads(NATIVE, "{\"models\":[{\"id\":\"a/b\"},{\"id\":\"a/b\"},{\"id\":\"ab\"},{},5,null]}",
          "a/b:{\"id\":\"a/b\"} a/b! ab! ! ! !");
    refuses(NATIVE, "{}");
    refuses(NATIVE, "{\"models\":{}}");
    refuses(NATIVE, "{\"models\":[],\"keys\":[]}");
}

static void openrouter(void **state)
{
    (void)state;
    reads(OPENROUTER,
          "{\"data\":[{\"id\":\"~x-ai/grok-latest\",\"name\":\"Grok\",\"created\":5,"
          "\"context_length\":10,\"architecture\":{\"modality\":\"text->text\","
          "\"input_modalities\":[\"text\",\"image\"],\"output_modalities\":[\"text\"]},"
          "\"top_provider\":{\"max_completion_tokens\":7,\"context_length\":9},"
          "\"supported_parameters\":[\"structured_outputs\",\"tools\",\"seed\"],"
          "\"pricing\":{\"prompt\":\"1\"}}],\"total_count\":1}",
          "~x-ai/grok-latest:{\"id\":\"~x-ai/grok-latest\",\"display_name\":\"Grok\","
          "\"created\":5,\"owned_by\":\"x-ai\",\"context_length\":10,\"max_completion_tokens\":7,"
          "\"architecture\":{\"input_modalities\":[\"text\",\"image\"],"
          "\"output_modalities\":[\"text\"]},"
          "\"capabilities\":{\"tools\":true,\"structured_outputs\":true,\"vision\":true}}");
    // Nothing but an id: unknown is left to the defaults.
    reads(OPENROUTER,
          "{\"data\":[{\"id\":\"a/b\",\"created\":0,\"context_length\":null,\"name\":\"\","
          "\"top_provider\":null,\"supported_parameters\":\"tools\",\"architecture\":5}]}",
          "a/b:{\"id\":\"a/b\",\"owned_by\":\"a\",\"architecture\":{},\"capabilities\":{}}");
    reads(OPENROUTER, "{\"data\":[{\"id\":\"nothing\"},{\"name\":\"x\"},[]]}", "nothing! ! !");
    refuses(OPENROUTER, "[]");
    refuses(OPENROUTER, "{\"models\":[]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(native), cmocka_unit_test(openrouter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
