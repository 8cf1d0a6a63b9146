# docker-compose.yml as `config` prints it, by the old Python compose or by the
# Docker plugin (they write ports and durations differently).
include "rule";

# The address that a published port is bound to; "" is every address.
def bound:
    if type == "object" then .host_ip // ""
    else (split(":") | if length == 3 then .[0] else "" end) end;
def names: (. // {}) | if type == "array" then [.[] | .source? // .] else keys end;
# "30s", "1m0s" -> seconds
def seconds:
    (capture("^((?<m>[0-9]+)m)?((?<s>[0-9]+)s)?$") // {})
    | ((.m // "0") | tonumber) * 60 + ((.s // "0") | tonumber);
def each: .services | to_entries[] | .value + {service: .key};

. as $file
| rule("compose-services";
    unless((.services | keys) == ["cm-admin", "cm-models", "haproxy", "redis"]; .services | keys)),
  rule("compose-image-tags"; each
    | unless(.image | test(":[0-9][a-z0-9.-]*$"); "\(.service): \(.image)")),
  rule("compose-hardening"; each
    | unless(.read_only == true; "\(.service): read_only"),
      unless(.cap_drop == ["ALL"]; "\(.service): cap_drop"),
      unless((.cap_add // []) == [] and (.privileged // false) == false; "\(.service): rights added"),
      unless(any(.security_opt[]?; startswith("no-new-privileges:true")); "\(.service): no-new-privileges")),
  rule("compose-non-root"; each | select(.service | startswith("cm-") | not)
    | unless((.user // "") | test("^[1-9][0-9]*:[1-9][0-9]*$"); .service)),
  rule("compose-limits"; each
    | unless(.mem_limit; "\(.service): mem_limit"),
      unless(.pids_limit; "\(.service): pids_limit"),
      unless(.logging.options["max-size"] and .logging.options["max-file"]; "\(.service): log size"),
      unless(.restart == "unless-stopped"; "\(.service): restart")),
  rule("compose-replicas"; .services["cm-models"]
    | unless(.deploy.replicas == 3; "replicas"),
      unless(has("container_name") | not; "container_name"),
      unless((.ports // []) == []; "a host port, which only one replica can have")),
  rule("compose-published";
    (each | select(.service != "haproxy") | .service as $s | .ports[]?
     | unless(bound == "127.0.0.1"; "\($s) for every address")),
    unless((.services.redis.ports // []) == []; "redis"),
    unless((.services.haproxy.ports | length) == 1; "haproxy: more than the public port")),
  rule("compose-networks";
    unless((.services.redis.networks | names) == ["back"]; "redis"),
    unless(.networks.back.internal == true; "back is not internal"),
    unless(.services.haproxy.networks | names | index("back") | not; "haproxy reaches Redis")),
  rule("compose-secrets"; each | .service as $s | (.secrets | names) as $has
    | ((.environment // {}) | to_entries[] | select(.key | endswith("_FILE"))
       | unless(.value | ltrimstr("/run/secrets/") | IN($has[]); "\($s): \(.key)")),
      ((.environment // {}) | keys[] | select(test("PASSWORD$|TOKEN$|SECRET$")) | "\($s): \(.) in the environment"),
      ($has[] | unless(IN($file.secrets | keys[]); "\($s): \(.)"))),
  rule("compose-secret-files"; .secrets | to_entries[] | . as $e
    | unless($e.value.file | endswith("/deploy/secrets/" + $e.key); $e.key)),
  rule("compose-probes"; .services["cm-models"].environment
    | unless(.CM_OPS_LISTEN == "0.0.0.0:9090"; "HAProxy cannot reach CM_OPS_LISTEN")),
  rule("compose-drain"; .services["cm-models"]
    | (.environment | [.CM_DRAIN_DELAY_MS, .CM_DRAIN_TIMEOUT_S] | map(tonumber)) as [$delay, $timeout]
    | unless($delay >= 2000; "leaves before HAProxy knows"),
      unless($timeout * 1000 > $delay and (.stop_grace_period | seconds) > $timeout; "killed before it has drained"))
