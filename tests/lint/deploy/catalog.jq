# deploy/sample/catalog.json: the rules that the admin API would apply, and the
# models that the documents and examples name.
include "rule";

def vendor: split("/")[0];
def name: .[(vendor | length) + 1:];
def whole: type == "number" and . == floor and . > 0;
def kinds: ["text", "image", "audio", "video", "file"];
def members:
    ["id", "display_name", "created", "owned_by", "context_length",
     "max_completion_tokens", "architecture", "capabilities", "status"];
def expected:
    {"id": "deepseek/deepseek-v4-pro", "display_name": "DeepSeek V4 Pro",
     "created": 1716239400, "owned_by": "deepseek", "context_length": 65536,
     "max_completion_tokens": 8192,
     "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
     "capabilities": {"tools": true}, "status": "active"},
    {"id": "anthropic/claude-sonnet-4.6", "display_name": "Claude Sonnet 4.6",
     "created": 1716239401, "owned_by": "anthropic", "context_length": 200000,
     "max_completion_tokens": 64000,
     "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
     "capabilities": {"tools": true}, "status": "active"};

.models as $all
| rule("catalog-shape"; unless(keys == ["models"] and ($all | type) == "array"; "is not {\"models\": []}")),
  rule("catalog-size"; $all | length | unless(. >= 40 and . <= 80; "holds \(.) models")),
  rule("catalog-unique-ids"; $all | group_by(.id)[] | unless(length == 1; .[0].id)),
  rule("catalog-members"; $all[] | .id as $id | (keys - members)[] | "\($id): \(.)"),
  rule("catalog-ids"; $all[].id
    | unless((vendor | test("^[a-z0-9~][a-z0-9._-]{0,63}$"))
             and (name | test("^[!-~]{1,190}$") and (test("[\"\\\\?#%]") | not)); .)),
  rule("catalog-names"; $all[]
    | unless((.display_name | type == "string" and length > 0)
             and (.owned_by | type == "string" and length > 0); .id)),
  rule("catalog-dates"; $all[] | unless(.created | whole and . < 253402300800; .id)),
  rule("catalog-sizes"; $all[]
    | unless((has("context_length") | not) or (.context_length | whole); "\(.id): context_length"),
      unless((has("max_completion_tokens") | not)
             or ((.max_completion_tokens | whole)
                 and .max_completion_tokens <= (.context_length // infinite));
             "\(.id): max_completion_tokens")),
  rule("catalog-modalities"; $all[] | .id as $id
    | unless((.architecture | keys) == ["input_modalities", "output_modalities"]; $id),
      (.architecture[] | unless(length > 0 and (. - kinds) == [] and (unique | length) == length; $id))),
  rule("catalog-capabilities"; $all[] | select(has("capabilities"))
    | unless((.capabilities | length) > 0 and all(.capabilities[]; . == true); .id)),
  rule("catalog-active"; $all[] | unless(.status == "active"; .id)),
  rule("catalog-sorted"; unless($all == ($all | sort_by(.created, .id)); "not by (created, id)")),
  rule("catalog-vendors"; ["anthropic", "deepseek", "gemini", "minimax", "moonshot", "openai", "qwen",
    "tencent", "x-ai", "xiaomi", "z-ai"] - [$all[].id | vendor] | .[]),
  rule("catalog-printed-models"; expected | . as $m | unless(any($all[]; . == $m); $m.id)),
  rule("catalog-prefix-example";
    unless(any($all[]; .id == "anthropic/claude-opus-4-8" and .context_length == 1000000
                       and .max_completion_tokens == 128000); "anthropic/claude-opus-4-8"))
