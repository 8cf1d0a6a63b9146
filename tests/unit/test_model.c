// SPDX-License-Identifier: Apache-2.0
#include "common/model/model.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/support/test.h"

enum { NOW = 1716239400 };

#define TEXT_ONLY                                                                                  \
    "\"architecture\":{\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"]}"
#define DEEPSEEK                                                                                   \
    "{\"id\":\"deepseek/deepseek-v4-pro\",\"display_name\":\"DeepSeek V4 Pro\","                   \
    "\"created\":1716239400,\"owned_by\":\"deepseek\",\"context_length\":65536,"                   \
    "\"max_completion_tokens\":8192," TEXT_ONLY ",\"capabilities\":{\"tools\":true},"              \
    "\"status\":\"active\",\"revision\":17}"
#define DEEPSEEK_MIDDLE                                                                            \
    ",\"object\":\"model\",\"type\":\"model\",\"display_name\":\"DeepSeek V4 Pro\","               \
    "\"created\":1716239400,\"created_at\":\"2024-05-20T21:10:00+00:00\","                         \
    "\"owned_by\":\"deepseek\",\"context_length\":65536,\"max_completion_tokens\":8192," TEXT_ONLY \
    ",\"capabilities\":{\"tools\":true}"

static json_t *document(const char *text)
{
    struct doc_error error;
    json_t *doc = doc_parse(slice_of(text), &error);
    if (doc == NULL)
        fail_msg("%s: %s", text, error.text);
    return doc;
}

// What the client's document becomes as a record of revision 1, or, with
// mistakes, "pointer code" of the first one.
static const char *completed(const char *id, const char *text)
{
    static struct buf out;
    struct mistakes m;
    mistakes_init(&m);
    buf_clear(&out);
    json_t *doc = document(text);
    json_t *whole = model_complete(doc, slice_of(id), NOW, &m);
    json_t *again = model_complete(doc, slice_of(id), NOW, NULL);
    assert_int_equal(whole == NULL, again == NULL);
    assert_int_equal(whole == NULL, m.count > 0);
    if (whole != NULL)
        model_write_record(&out, whole, 1);
    else
        buf_printf(&out, "%zu %s %s", m.count, m.items[0].pointer, m.items[0].code);
    json_decref(doc);
    json_decref(whole);
    json_decref(again);
    return buf_cstr(&out);
}

static void assert_mistake(const char *text, const char *want)
{
    char one[200];
    snprintf(one, sizeof(one), "1 %s", want);
    const char *got = completed("a/b", text);
    if (strcmp(got, one) != 0)
        fail_msg("%s: got '%s', want '%s'", text, got, one);
}

static void rendering_of_the_page_example(void **state)
{
    (void)state;
    struct model *m = model_parse(slice_of(DEEPSEEK), NULL);
    assert_non_null(m);
    assert_true(m->active);
    assert_int_equal(m->created, 1716239400);
    assert_int_equal(m->revision, 17);
    assert_slice(m->id, "deepseek/deepseek-v4-pro");
    assert_slice(m->owned_by, "deepseek");
    assert_slice(m->id_json, "\"deepseek/deepseek-v4-pro\"");
    assert_slice(m->middle, DEEPSEEK_MIDDLE);
    assert_slice(m->body, "{\"id\":\"deepseek/deepseek-v4-pro\"" DEEPSEEK_MIDDLE "}");
    assert_true(digest_equal(m->digest, digest_record(m->id, m->body)));
    assert_ptr_equal(model_ref(m), m);
    model_unref(m);
    assert_slice(m->id, "deepseek/deepseek-v4-pro"); // the second reference holds it
    model_unref(m);
    model_unref(NULL);
}

static void rendering_of_the_least(void **state)
{
    (void)state;
    struct model *m = model_parse(
        slice_of("{\"id\":\"a/b\",\"display_name\":\"\xe2\x82\xac \\\"x\\\"\",\"created\":0,"
                 "\"owned_by\":\"\\u00e9\\\\\"," TEXT_ONLY ",\"status\":\"disabled\","
                 "\"revision\":0}"),
        NULL);
    assert_non_null(m);
    assert_false(m->active);
    assert_slice(m->owned_by, "\xc3\xa9\\");
    assert_slice(
        m->body,
        "{\"id\":\"a/b\",\"object\":\"model\",\"type\":\"model\","
        "\"display_name\":\"\xe2\x82\xac \\\"x\\\"\",\"created\":0,"
        "\"created_at\":\"1970-01-01T00:00:00+00:00\",\"owned_by\":\"\xc3\xa9\\\\\"," TEXT_ONLY
        "}");
    model_unref(m);
}

static void assert_record_mistake(const char *text, const char *pointer, const char *code)
{
    struct mistakes m;
    mistakes_init(&m);
    assert_null(model_parse(slice_of(text), NULL));
    assert_null(model_parse(slice_of(text), &m));
    if (m.count != 1 || strcmp(m.items[0].pointer, pointer) != 0 ||
        strcmp(m.items[0].code, code) != 0)
        fail_msg("%s: %zu, %s %s", text, m.count, m.items[0].pointer, m.items[0].code);
}

// A whole record without one member is not valid, but for the optional ones.
static void records_are_whole(void **state)
{
    (void)state;
    static const char *const needed[] = {"id",           "display_name", "created", "owned_by",
                                         "architecture", "status",       "revision"};
    static const char *const optional[] = {"context_length", "max_completion_tokens",
                                           "capabilities"};
    struct buf text = {0};
    for (size_t i = 0; i < CM_ARRAY_LEN(needed); i++) {
        char pointer[40];
        snprintf(pointer, sizeof(pointer), "#/%s", needed[i]);
        for (int null = 0; null < 2; null++) {
            json_t *doc = document(DEEPSEEK);
            if (null)
                json_object_set_new(doc, needed[i], json_null());
            else
                json_object_del(doc, needed[i]);
            buf_clear(&text);
            doc_write(&text, doc);
            assert_record_mistake(buf_cstr(&text), pointer, "required");
            json_decref(doc);
        }
    }
    for (size_t i = 0; i < CM_ARRAY_LEN(optional); i++) {
        json_t *doc = document(DEEPSEEK);
        json_object_del(doc, optional[i]);
        buf_clear(&text);
        doc_write(&text, doc);
        struct model *m = model_parse(buf_slice(&text), NULL);
        assert_non_null(m);
        assert_null(memmem(m->body.ptr, m->body.len, optional[i], strlen(optional[i])));
        model_unref(m);
        json_decref(doc);
    }
    buf_fini(&text);
}

static void records_that_are_none(void **state)
{
    (void)state;
    assert_record_mistake("", "#", "invalid");
    assert_record_mistake("[]", "#", "invalid");
    assert_record_mistake(DEEPSEEK "x", "#", "invalid");
    assert_record_mistake("{\"id\":\"a/b\",\"display_name\":\"b\",\"created\":1,\"owned_by\":\"a\","
                          "\"architecture\":{\"output_modalities\":[\"text\"]},"
                          "\"status\":\"active\",\"revision\":1}",
                          "#/architecture/input_modalities", "required");
    struct mistakes m;
    mistakes_init(&m);
    assert_null(model_parse(slice_of("{\"id\":\"a b/c\",\"display_name\":\"\",\"created\":\"x\","
                                     "\"owned_by\":7,\"architecture\":[],\"capabilities\":[],"
                                     "\"context_length\":0,\"status\":\"x\",\"revision\":-1}"),
                            &m));
    assert_int_equal(m.count, 9);
    // Members of a newer version are passed over.
    struct model *model =
        model_parse(slice_of("{\"pricing\":{},\"architecture\":{\"input_modalities\":[\"text\"],"
                             "\"output_modalities\":[\"text\"],\"modality\":1},\"id\":\"a/"
                             "b\",\"display_name\":\"b\",\"created\":1,"
                             "\"owned_by\":\"a\",\"status\":\"active\","
                             "\"revision\":1}"),
                    NULL);
    assert_non_null(model);
    model_unref(model);
}

static void records_of_64_kib(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_append_str(&text, DEEPSEEK);
    while (text.len < MODEL_RECORD_MAX - 1)
        buf_append_char(&text, ' ');
    struct model *m = model_parse(buf_slice(&text), NULL);
    assert_non_null(m);
    model_unref(m);
    buf_append_char(&text, ' ');
    assert_record_mistake(buf_cstr(&text), "#", "out_of_range");
    buf_fini(&text);
}

static void defaults(void **state)
{
    (void)state;
    static const char want[] =
        "{\"id\":\"a/b\",\"display_name\":\"a/b\",\"created\":1716239400,"
        "\"owned_by\":\"a\"," TEXT_ONLY ",\"status\":\"active\",\"revision\":1}";
    assert_string_equal(completed("a/b", "{}"), want);
    assert_string_equal(completed("a/b", "{\"display_name\":null,\"created\":null,"
                                         "\"owned_by\":null,\"context_length\":null,"
                                         "\"max_completion_tokens\":null,\"architecture\":null,"
                                         "\"capabilities\":null,\"status\":null,\"id\":null}"),
                        want);
    assert_string_equal(completed("a/b", "{\"architecture\":{},\"capabilities\":{}}"), want);
    assert_string_equal(completed("a/b", "{\"architecture\":{\"input_modalities\":null},"
                                         "\"capabilities\":{\"x\":false,\"y\":null}}"),
                        want);
}

// Records are canonical: whatever the order and the spelling of the input.
static void canonical_form(void **state)
{
    (void)state;
    assert_string_equal(
        completed("a/b", "{\"status\":\"disabled\",\"capabilities\":{\"z\":true,\"a_1\":true,"
                         "\"m\":false,\"b\":true},\"architecture\":{\"output_modalities\":"
                         "[\"text\",\"3d-model_x\"],\"input_modalities\":[\"video\",\"text\"]},"
                         "\"max_completion_tokens\":1,\"context_length\":2e6,\"owned_by\":\"o\","
                         "\"created\":5.0,\"display_name\":\"\\u00e9\"}"),
        "{\"id\":\"a/b\",\"display_name\":\"\xc3\xa9\",\"created\":5,\"owned_by\":\"o\","
        "\"context_length\":2000000,\"max_completion_tokens\":1,"
        "\"architecture\":{\"input_modalities\":[\"video\",\"text\"],"
        "\"output_modalities\":[\"text\",\"3d-model_x\"]},"
        "\"capabilities\":{\"a_1\":true,\"b\":true,\"z\":true},"
        "\"status\":\"disabled\",\"revision\":1}");
}

static void read_only_members_are_ignored(void **state)
{
    (void)state;
    char before[2000];
    snprintf(before, sizeof(before), "%s", completed("a/b", "{}"));
    assert_string_equal(completed("a/b", "{\"id\":\"a/b\",\"object\":1,\"type\":[],"
                                         "\"created_at\":{},\"root\":\"x\",\"revision\":-7}"),
                        before);
    assert_mistake("{\"id\":\"a/c\"}", "#/id invalid");
    assert_mistake("{\"id\":7}", "#/id invalid");
    assert_string_equal(completed("b", "{}"), "1 #/id invalid");
}

static void unknown_members(void **state)
{
    (void)state;
    assert_mistake("{\"displayname\":\"x\"}", "#/displayname unknown_field");
    assert_mistake("{\"architecture\":{\"modality\":\"x\"}}",
                   "#/architecture/modality unknown_field");
    assert_mistake("{\"a/b~\":1}", "#/a~1b~0 unknown_field");
    struct mistakes m;
    mistakes_init(&m);
    json_t *doc = document("{\"capabilitys\":{},\"objec\":1,"
                           "\"architecture\":{\"input_modalitys\":[]}}");
    assert_null(model_complete(doc, slice_of("a/b"), NOW, &m));
    assert_int_equal(m.count, 3);
    assert_string_equal(m.items[0].detail, "unknown field; did you mean \"capabilities\"?");
    assert_string_equal(m.items[1].detail, "unknown field"); // read-only ones are no advice
    assert_string_equal(m.items[2].detail, "unknown field; did you mean \"input_modalities\"?");
    json_decref(doc);
}

static void wrong_types_and_ranges(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"7", "# invalid"},
        {"null", "# invalid"},
        {"{\"display_name\":7}", "#/display_name invalid"},
        {"{\"display_name\":\"\"}", "#/display_name out_of_range"},
        {"{\"display_name\":\"a\\nb\"}", "#/display_name invalid"},
        {"{\"display_name\":\"a\x7f\"}", "#/display_name invalid"},
        {"{\"display_name\":\"a\\u0085\"}", "#/display_name invalid"},
        {"{\"owned_by\":\"\"}", "#/owned_by out_of_range"},
        {"{\"owned_by\":true}", "#/owned_by invalid"},
        {"{\"created\":\"2024-05-20T21:10:00Z\"}", "#/created invalid"},
        {"{\"created\":1.5}", "#/created invalid"},
        {"{\"created\":-1}", "#/created out_of_range"},
        {"{\"created\":253402300800}", "#/created out_of_range"},
        {"{\"created\":1e300}", "#/created out_of_range"},
        {"{\"created\":true}", "#/created invalid"},
        {"{\"context_length\":0}", "#/context_length out_of_range"},
        {"{\"context_length\":9007199254740992}", "#/context_length out_of_range"},
        {"{\"context_length\":9007199254740992.0}", "#/context_length out_of_range"},
        {"{\"context_length\":\"8k\"}", "#/context_length invalid"},
        {"{\"max_completion_tokens\":-5}", "#/max_completion_tokens out_of_range"},
        {"{\"max_completion_tokens\":[]}", "#/max_completion_tokens invalid"},
        {"{\"architecture\":[]}", "#/architecture invalid"},
        {"{\"architecture\":{\"input_modalities\":\"text\"}}",
         "#/architecture/input_modalities invalid"},
        {"{\"architecture\":{\"input_modalities\":[]}}",
         "#/architecture/input_modalities out_of_range"},
        {"{\"architecture\":{\"output_modalities\":[\"text\",\"Text\"]}}",
         "#/architecture/output_modalities/1 invalid"},
        {"{\"architecture\":{\"output_modalities\":[\"text\",null]}}",
         "#/architecture/output_modalities/1 invalid"},
        {"{\"architecture\":{\"output_modalities\":[\"\"]}}",
         "#/architecture/output_modalities/0 invalid"},
        {"{\"architecture\":{\"output_modalities\":[\"a\",\"b\",\"a\"]}}",
         "#/architecture/output_modalities/2 repeated"},
        {"{\"capabilities\":[]}", "#/capabilities invalid"},
        {"{\"capabilities\":{\"tools\":1}}", "#/capabilities/tools invalid"},
        {"{\"capabilities\":{\"Tools\":true}}", "#/capabilities/Tools invalid"},
        {"{\"capabilities\":{\"a-b\":true}}", "#/capabilities/a-b invalid"},
        {"{\"capabilities\":{\"\":false}}", "#/capabilities/ invalid"},
        {"{\"status\":\"retired\"}", "#/status invalid"},
        {"{\"status\":1}", "#/status invalid"},
    };
    for (size_t i = 0; i < CM_ARRAY_LEN(rows); i++)
        assert_mistake(rows[i][0], rows[i][1]);
}

// {"<member>":"<n bytes of character>"}
static const char *with_text(const char *member, const char *character, size_t n)
{
    static struct buf out;
    buf_clear(&out);
    buf_printf(&out, "{\"%s\":\"", member);
    for (size_t i = 0; i < n; i += strlen(character))
        buf_append_str(&out, character);
    buf_append_str(&out, "\"}");
    return buf_cstr(&out);
}

// A list of n distinct words of the given length as array or object of flags.
static const char *with_words(bool flags, size_t n, int len)
{
    static struct buf out;
    buf_clear(&out);
    buf_append_str(&out,
                   flags ? "{\"capabilities\":{" : "{\"architecture\":{\"input_modalities\":[");
    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%s\"%0*zu\"%s", i == 0 ? "" : ",", len, i, flags ? ":true" : "");
    buf_append_str(&out, flags ? "}}" : "]}}");
    return buf_cstr(&out);
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"created\":0}", "{\"created\":253402300799}", "{\"context_length\":1}",
        "{\"context_length\":9007199254740991,\"max_completion_tokens\":9007199254740991.0}"};
    for (size_t i = 0; i < CM_ARRAY_LEN(good); i++)
        assert_memory_equal(completed("a/b", good[i]), "{\"id\"", 5);
    assert_memory_equal(completed("a/b", with_text("display_name", "\xc3\xa9", 256)), "{\"id\"", 5);
    assert_mistake(with_text("display_name", "x", 257), "#/display_name out_of_range");
    assert_memory_equal(completed("a/b", with_text("owned_by", "x", 64)), "{\"id\"", 5);
    assert_mistake(with_text("owned_by", "x", 65), "#/owned_by out_of_range");
    assert_memory_equal(completed("a/b", with_words(false, 16, 32)), "{\"id\"", 5);
    assert_mistake(with_words(false, 17, 2), "#/architecture/input_modalities out_of_range");
    assert_mistake(with_words(false, 1, 33), "#/architecture/input_modalities/0 invalid");
    assert_memory_equal(completed("a/b", with_words(true, 32, 64)), "{\"id\"", 5);
    assert_mistake(with_words(true, 33, 2), "#/capabilities out_of_range");
    assert_true(completed("a/b", with_words(true, 1, 65))[0] == '1');
}

// The patched record of revision 1, or "count pointer code".
static const char *patched(const char *patch)
{
    static struct buf out;
    struct mistakes m;
    mistakes_init(&m);
    buf_clear(&out);
    json_t *stored = document(DEEPSEEK), *before = json_deep_copy(stored), *p = document(patch);
    json_t *doc = model_patch(stored, p, slice_of("deepseek/deepseek-v4-pro"), NOW + 1000, &m);
    assert_true(json_equal(stored, before));
    if (doc != NULL)
        model_write_record(&out, doc, 17);
    else
        buf_printf(&out, "%zu %s %s", m.count, m.items[0].pointer, m.items[0].code);
    json_decref(stored);
    json_decref(before);
    json_decref(p);
    json_decref(doc);
    return buf_cstr(&out);
}

static void merge_patches(void **state)
{
    (void)state;
    assert_string_equal(patched("{}"), DEEPSEEK);
    assert_string_equal(patched("{\"id\":null,\"revision\":3,\"created_at\":\"x\"}"), DEEPSEEK);
    assert_string_equal(
        patched("{\"context_length\":null,\"display_name\":null,\"owned_by\":\"x\","
                "\"capabilities\":{\"vision\":true},"
                "\"architecture\":{\"input_modalities\":[\"image\"]}}"),
        "{\"id\":\"deepseek/deepseek-v4-pro\",\"display_name\":\"deepseek/deepseek-v4-pro\","
        "\"created\":1716239400,\"owned_by\":\"x\",\"max_completion_tokens\":8192,"
        "\"architecture\":{\"input_modalities\":[\"image\"],\"output_modalities\":[\"text\"]},"
        "\"capabilities\":{\"tools\":true,\"vision\":true},\"status\":\"active\",\"revision\":17}");
    assert_string_equal(
        patched("{\"capabilities\":{\"tools\":null},\"created\":null,\"status\":\"disabled\"}"),
        "{\"id\":\"deepseek/deepseek-v4-pro\",\"display_name\":\"DeepSeek V4 Pro\","
        "\"created\":1716240400,\"owned_by\":\"deepseek\",\"context_length\":65536,"
        "\"max_completion_tokens\":8192," TEXT_ONLY ",\"status\":\"disabled\",\"revision\":17}");
    assert_string_equal(patched("{\"id\":\"x/y\"}"), "1 #/id invalid");
    assert_string_equal(patched("{\"capabilities\":{\"a\":{\"b\":null}}}"),
                        "1 #/capabilities/a invalid");
    assert_string_equal(patched("{\"contxt_length\":null}"), "1 #/contxt_length unknown_field");
    assert_string_equal(patched("{\"architecture\":{\"x\":null}}"),
                        "1 #/architecture/x unknown_field");
    assert_string_equal(patched("[]"), "1 # invalid");
    assert_string_equal(patched("null"), "1 # invalid");
    assert_string_equal(patched("{\"capabilities\":3}"), "1 #/capabilities invalid");
}

// What a patch removes does not count against the limit on what it adds.
static void patches_at_the_limit(void **state)
{
    (void)state;
    json_t *doc = document(with_words(true, 32, 2)), *patch, *stored, *out;
    stored = model_complete(doc, slice_of("a/b"), NOW, NULL);
    patch = document("{\"capabilities\":{\"00\":null,\"01\":false,\"x\":true,\"y\":true}}");
    out = model_patch(stored, patch, slice_of("a/b"), NOW, NULL);
    assert_non_null(out);
    assert_int_equal(json_object_size(json_object_get(out, "capabilities")), 32);
    json_object_set_new(json_object_get(patch, "capabilities"), "z", json_true());
    assert_null(model_patch(stored, patch, slice_of("a/b"), NOW, NULL));
    json_decref(doc);
    json_decref(stored);
    json_decref(patch);
    json_decref(out);
}

static void sameness(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool same;
    } rows[] = {{DEEPSEEK, true},
                {"{\"display_name\":\"DeepSeek V4 Pro\",\"context_length\":65536.0,"
                 "\"max_completion_tokens\":8192,\"capabilities\":{\"x\":false,\"tools\":true},"
                 "\"created\":1716239400}",
                 true},
                {"{\"display_name\":\"DeepSeek V4 Pro\",\"context_length\":65536,"
                 "\"max_completion_tokens\":8192,\"created\":1716239400}",
                 false},
                {"{}", false}};
    json_t *stored = document(DEEPSEEK);
    for (size_t i = 0; i < CM_ARRAY_LEN(rows); i++) {
        json_t *doc = document(rows[i].text);
        json_t *whole = model_complete(doc, slice_of("deepseek/deepseek-v4-pro"), NOW, NULL);
        assert_non_null(whole);
        assert_int_equal(model_same(stored, whole), rows[i].same);
        assert_int_equal(model_same(whole, stored), rows[i].same);
        json_decref(doc);
        json_decref(whole);
    }
    assert_non_null(json_object_get(stored, "revision")); // left as it was
    json_decref(stored);
}

static void admin_shape(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_true(model_write_admin(&out, slice_of(DEEPSEEK)));
    assert_slice(buf_slice(&out), "{\"id\":\"deepseek/deepseek-v4-pro\"" DEEPSEEK_MIDDLE
                                  ",\"status\":\"active\",\"revision\":17}");
    // GET, edit nothing, PUT: the same record.
    json_t *doc = document(buf_cstr(&out));
    json_t *whole = model_complete(doc, slice_of("deepseek/deepseek-v4-pro"), 5, NULL);
    assert_non_null(whole);
    buf_clear(&out);
    model_write_record(&out, whole, 17);
    assert_slice(buf_slice(&out), DEEPSEEK);
    json_decref(doc);
    json_decref(whole);
    buf_clear(&out);
    assert_false(model_write_admin(&out, slice_of("{}")));
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rendering_of_the_page_example),
        cmocka_unit_test(rendering_of_the_least),
        cmocka_unit_test(records_are_whole),
        cmocka_unit_test(records_that_are_none),
        cmocka_unit_test(records_of_64_kib),
        cmocka_unit_test(defaults),
        cmocka_unit_test(canonical_form),
        cmocka_unit_test(read_only_members_are_ignored),
        cmocka_unit_test(unknown_members),
        cmocka_unit_test(wrong_types_and_ranges),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(merge_patches),
        cmocka_unit_test(patches_at_the_limit),
        cmocka_unit_test(sameness),
        cmocka_unit_test(admin_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
