# Kubernetes objects, as one array: rendered by kustomize ($rendered, names of
# generated objects carry a digest), or read from the files as they are.
include "rule";

def of(kind): .[] | select(.kind == kind);
def called(name): select(.metadata.name == name);
def pod: .spec.template.spec;
def main: pod.containers[0];
def workloads: of("Deployment", "StatefulSet");
def programs: of("Deployment") | select(.metadata.name | IN("cm-models", "cm-admin"));
# The settings of a program: the ConfigMap that its container is given.
def settings($all):
    main.envFrom[0].configMapRef.name as $n
    | ([$all[] | select(.kind == "ConfigMap" and .metadata.name == $n)][0].data // {});
def within($labels): . as $s | all($s | keys[]; $s[.] == $labels[.]);
def port(name): [.ports[] | select(.name == name).containerPort][0];
def port_of: split(":")[-1] | tonumber;

. as $all
| rule("workloads"; ["cm-admin", "cm-models"] - [programs.metadata.name] | .[]),
  rule("non-root"; workloads | .metadata.name as $n | pod.securityContext
    | unless(.runAsNonRoot == true and (.runAsUser // 0) > 0 and (.runAsGroup // 0) > 0
             and .seccompProfile.type == "RuntimeDefault"; $n)),
  rule("container-rights"; workloads | .metadata.name as $n | pod.containers[].securityContext
    | unless(.allowPrivilegeEscalation == false and .readOnlyRootFilesystem == true
             and .capabilities == {"drop": ["ALL"]}; $n)),
  rule("no-links-no-tokens"; workloads | .metadata.name as $n | pod
    | unless(.enableServiceLinks == false; "\($n): enableServiceLinks"),
      unless(.automountServiceAccountToken == false; "\($n): automountServiceAccountToken")),
  rule("resources"; workloads | .metadata.name as $n | pod.containers[].resources
    | unless(.requests.cpu and .requests.memory and .requests.memory == .limits.memory
             and (.limits | has("cpu") | not); $n)),
  rule("image-tags"; workloads | select($rendered or .kind != "Deployment") | pod.containers[].image
    | unless(test(":[0-9][a-z0-9.-]*$"); .)),
  rule("selectors"; workloads
    | unless(.spec.selector.matchLabels | length > 0; .metadata.name),
      (.spec.template.metadata.labels as $l | unless(.spec.selector.matchLabels | within($l); .metadata.name))),
  rule("probe-paths"; programs | .metadata.name as $n | main
    | unless([.startupProbe, .readinessProbe, .livenessProbe] | map(.httpGet.path)
             == ["/readyz", "/readyz", "/livez"]; $n)),
  rule("probes-on-ops-port"; programs | .metadata.name as $n | settings($all) as $s | main
    | unless([.startupProbe, .readinessProbe, .livenessProbe] | all(.httpGet.port == "ops"); $n),
      unless(port("ops") == (if $n == "cm-models" then 9090 else 9190 end); "\($n): ops port"),
      unless(($s.CM_OPS_LISTEN // $s.CM_ADMIN_OPS_LISTEN // "") == "0.0.0.0:\(port("ops"))"; "\($n): ops address"),
      unless(($s.CM_LISTEN // $s.CM_ADMIN_LISTEN // "") == "0.0.0.0:\(port("http"))"; "\($n): http address")),
  rule("drain"; programs | .metadata.name as $n | settings($all) as $s
    | (($s.CM_DRAIN_TIMEOUT_S // "20") | tonumber) as $timeout
    | unless(pod.terminationGracePeriodSeconds > $timeout; "\($n): killed before it has drained"),
      unless((($s.CM_DRAIN_DELAY_MS // "0") | tonumber) < $timeout * 1000; "\($n): delay"),
      unless($n != "cm-models" or $s.CM_DRAIN_DELAY_MS == "5000"; "CM_DRAIN_DELAY_MS is not 5000")),
  rule("rolling"; of("Deployment") | called("cm-models") | .spec
    | unless(.replicas == 3; "replicas"),
      unless(.strategy.rollingUpdate == {"maxUnavailable": 0, "maxSurge": 1}; "strategy"),
      unless([.template.spec.topologySpreadConstraints[]?.topologyKey]
             == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]; "topology spread")),
  rule("one-admin"; of("Deployment") | called("cm-admin") | unless(.spec.replicas == 1; .spec.replicas)),
  rule("secrets-are-files"; programs | .metadata.name as $n | settings($all) as $s | pod as $p
    | ($s | keys[] | select(test("PASSWORD$|TOKEN$|TOKENS$")) | "\($n): \(.) in the environment"),
      ($s | to_entries[] | select(.key | endswith("_FILE")) | .key as $key
       | [.value | capture("^(?<dir>/.+)/(?<file>[^/]+)$")] as [$at]
       | [$p.containers[0].volumeMounts[] | select(.mountPath == $at.dir and .readOnly == true).name] as [$volume]
       | unless(any($p.volumes[]; .name == $volume and any(.secret.items[]?; .path == $at.file));
                "\($n): no secret behind \($key)")),
      unless(any($s | keys[]; . == "CM_REDIS_PASSWORD_FILE"); "\($n): CM_REDIS_PASSWORD_FILE"),
      unless($n != "cm-admin" or $s.CM_ADMIN_TOKENS_FILE; "CM_ADMIN_TOKENS_FILE")),
  rule("references"; workloads | .metadata.name as $n | pod
    | (.containers[].envFrom[]?.configMapRef.name | . as $r
       | unless(any($all[]; .kind == "ConfigMap" and .metadata.name == $r); "\($n): \($r)")),
      (.volumes[]?.secret.secretName | . as $r | select($r)
       | unless(any($all[]; .kind == "Secret" and .metadata.name == $r)
                or ($base and ($r | IN("cm-redis-models", "cm-redis-admin", "cm-admin-tokens")));
                "\($n): \($r)"))),
  rule("no-secret-in-base"; select($base) | of("Secret").metadata.name),
  rule("services"; of("Service") | . as $service
    | [$all | workloads | select(.spec.template.metadata.labels as $l | $service.spec.selector | within($l))] as $behind
    | unless($behind | length == 1; "\(.metadata.name): selects \($behind | length) workloads"),
      (.spec.ports[].targetPort as $p
       | unless(any($behind[]; main.ports[] | .name == $p); "\(.metadata.name): \($p)"))),
  rule("public-service"; [of("Service") | called("cm-models").spec.ports[] | [.port, .targetPort]]
    | unless(. == [[80, "http"]]; .)),
  rule("ops-services"; ["cm-models-ops", "cm-admin-ops"][] | . as $n
    | [$all | of("Service") | called($n).spec.ports[].targetPort] | unless(. == ["ops"]; $n)),
  rule("admin-inside"; of("Service") | select(.metadata.name | startswith("cm-admin"))
    | unless((.spec.type // "ClusterIP") == "ClusterIP"; .metadata.name)),
  rule("disruption-budget";
    [of("PodDisruptionBudget").spec | select(.selector.matchLabels["app.kubernetes.io/name"] == "cm-models")]
    | unless(length == 1 and .[0].maxUnavailable == 1; .)),
  rule("default-deny";
    [of("NetworkPolicy").spec | select((has("ingress") or has("egress")) | not)
     | select(.podSelector.matchLabels == {"app.kubernetes.io/part-of": "crossmodel-models"}) | .policyTypes | sort]
    | unless(. == [["Egress", "Ingress"]]; .)),
  rule("admin-closed";
    [of("NetworkPolicy").spec
     | select(.podSelector.matchLabels["app.kubernetes.io/name"] == "cm-admin" and has("ingress")) | .ingress[]]
    | unless(length > 0 and all(.[]; (.from | length) > 0); "open to everyone")),
  rule("ops-closed";
    [of("NetworkPolicy").spec.ingress[]? | select(any(.ports[]; .port == "ops"))]
    | unless(length > 0 and all(.[]; (.from | length) > 0); "open to everyone"))
