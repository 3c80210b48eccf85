"""Every rule of `make manifests` notices the defect it is for: each is planted once."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from deploy.checks.manifests import __main__ as command
from deploy.checks.manifests import (
    edge,
    names,
    network,
    pods,
    processes,
    rendering,
    rollout,
    schemas,
    settings,
    topology,
)
from deploy.checks.manifests.objects import Finding, Object, Overlay, container_of, pod_of

Plant = Callable[[Overlay], object]


@pytest.fixture(scope="module")
def rendered() -> Overlay:
    return next(one for one in rendering.installations() if one.name == "production")


@pytest.fixture
def overlay(rendered: Overlay) -> Overlay:
    return copy.deepcopy(rendered)


def find(overlay: Overlay, kind: str, name: str) -> Object:
    return next(one for one in overlay.of(kind) if one["metadata"]["name"].startswith(name))


def pod(overlay: Overlay, name: str = "gateway") -> Object:
    return pod_of(find(overlay, "Deployment", name))


def container(overlay: Overlay, name: str = "gateway") -> Object:
    return container_of(find(overlay, "Deployment", name))


def remove(overlay: Overlay, kind: str, *names: str) -> list[Object]:
    gone = [find(overlay, kind, name) for name in names]
    overlay.objects[:] = [one for one in overlay.objects if one not in gone]
    return gone


def texts(findings: list[Finding]) -> str:
    return "\n".join(fault for one in findings for fault in one.faults)


def rule_of(one: Overlay, name: str) -> dict[str, Any]:
    rules: list[dict[str, Any]] = find(one, "NetworkPolicy", name)["spec"]["egress"]
    return next(rule for rule in rules if "ipBlock" in str(rule))


def _expression(policy: Object) -> dict[str, Any]:
    [one] = policy["spec"]["podSelector"]["matchExpressions"]
    found: dict[str, Any] = one
    return found


POD_DEFECTS: list[tuple[str, str, Plant]] = [
    (
        "is_nobody",
        "may run as root",
        lambda o: pod(o)["securityContext"].pop("runAsNonRoot"),
    ),
    (
        "is_nobody",
        "runAsUser is no number of ours",
        lambda o: pod(o)["securityContext"].update(runAsUser=0),
    ),
    (
        "is_nobody",
        "may gain privileges",
        lambda o: container(o)["securityContext"].update(allowPrivilegeEscalation=True),
    ),
    (
        "is_confined",
        "has no seccomp profile",
        lambda o: pod(o)["securityContext"].pop("seccompProfile"),
    ),
    (
        "is_confined",
        "may write to its root",
        lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    (
        "is_confined",
        "keeps capabilities",
        lambda o: container(o)["securityContext"].update(capabilities={"add": ["NET_RAW"]}),
    ),
    ("is_confined", "has hostNetwork", lambda o: pod(o).update(hostNetwork=True)),
    (
        "is_confined",
        "neither a secret nor empty",
        lambda o: pod(o)["volumes"].append({"name": "node", "hostPath": {"path": "/"}}),
    ),
    (
        "is_confined",
        "takes a port of the host",
        lambda o: container(o)["ports"][0].update(hostPort=8080),
    ),
    ("has_no_token", "gets a token", lambda o: pod(o).pop("automountServiceAccountToken")),
    (
        "has_no_token",
        "no service account of its own",
        lambda o: pod(o).update(serviceAccountName="executor"),
    ),
    ("has_no_token", "neighbours' addresses", lambda o: pod(o).pop("enableServiceLinks")),
    (
        "is_bounded",
        "requests no cpu",
        lambda o: container(o)["resources"]["requests"].pop("cpu"),
    ),
    (
        "is_bounded",
        "has no limit of memory",
        lambda o: container(o)["resources"].pop("limits"),
    ),
    (
        "is_bounded",
        "may fill the node's disk",
        lambda o: pod(o)["volumes"].append({"name": "big", "emptyDir": {}}),
    ),
    (
        "has_one_container",
        "other containers",
        lambda o: pod(o)["containers"].append({"name": "second"}),
    ),
    (
        "has_one_container",
        "not pinned",
        lambda o: container(o).update(image="registry.invalid/reqrun/gateway:latest"),
    ),
    (
        "has_one_container",
        "not pinned",
        lambda o: container(o).update(image="registry.invalid:5000/reqrun/gateway"),
    ),
    (
        "has_one_container",
        "not started as",
        lambda o: container(o).update(command=["sh", "-c", "python -m services.gateway web"]),
    ),
    (
        "has_secrets_as_files",
        "in its environment",
        lambda o: container(o)["envFrom"].append({"secretRef": {"name": "gateway"}}),
    ),
    (
        "has_secrets_as_files",
        "makes no secret called gatewey",
        lambda o: pod(o)["volumes"][0]["secret"].update(secretName="gatewey"),
    ),
    (
        "has_secrets_as_files",
        "everybody may read",
        lambda o: pod(o)["volumes"][0]["secret"].update(defaultMode=0o444),
    ),
]

ROLLOUT_DEFECTS: list[tuple[str, str, Plant]] = [
    (
        "lives_and_is_ready",
        "livenessProbe is not /healthz",
        lambda o: container(o)["livenessProbe"]["httpGet"].update(path="/readyz"),
    ),
    (
        "lives_and_is_ready",
        "readinessProbe is not /readyz",
        lambda o: container(o)["readinessProbe"]["httpGet"].update(port="public"),
    ),
    ("steps_aside", "gets SIGTERM before", lambda o: container(o).pop("lifecycle")),
    (
        "steps_aside",
        "is killed before 650",
        lambda o: pod(o, "executor").update(terminationGracePeriodSeconds=649),
    ),
    (
        "steps_aside",
        "is killed before 1020",
        lambda o: find(o, "ConfigMap", "executor")["data"].update(REQRUN_GRACE="1000"),
    ),
    (
        "is_replaced_first",
        "fewer pods than it should",
        lambda o: find(o, "Deployment", "gateway")["spec"].pop("strategy"),
    ),
    (
        "is_never_alone",
        "is one pod",
        lambda o: find(o, "Deployment", "dispatcher")["spec"].update(replicas=1),
    ),
    (
        "is_never_alone",
        "is set back to 3 pods by every apply",
        lambda o: find(o, "Deployment", "gateway")["spec"].update(replicas=3),
    ),
    (
        "is_never_alone",
        "is scaled down to one pod",
        lambda o: find(o, "ScaledObject", "executor")["spec"].update(minReplicaCount=1),
    ),
    (
        "is_never_alone",
        "not spread over nodes",
        lambda o: pod(o)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].update(
            {"app.kubernetes.io/name": "executor"}
        ),
    ),
    (
        "is_never_alone",
        "no disruption budget",
        lambda o: remove(o, "PodDisruptionBudget", "gateway"),
    ),
    (
        "services lead somewhere",
        "leads to 0 deployments",
        lambda o: find(o, "Service", "gateway")["spec"].update(selector={"a": "b"}),
    ),
    (
        "services lead somewhere",
        "which is no port",
        lambda o: find(o, "Service", "gateway")["spec"]["ports"][0].update(targetPort="http"),
    ),
    (
        "scalers",
        "is scaled, and not there",
        lambda o: find(o, "ScaledObject", "executor")["spec"]["scaleTargetRef"].update(name="x"),
    ),
    (
        "scalers",
        "is scaled twice",
        lambda o: find(o, "ScaledObject", "executor")["spec"]["scaleTargetRef"].update(
            name="gateway"
        ),
    ),
]

NETWORK_DEFECTS: list[tuple[str, str, Plant]] = [
    (
        "who reaches whom",
        "gateway → requests-db:5432 is needed and not let through",
        lambda o: find(o, "NetworkPolicy", "gateway")["spec"]["egress"].pop(0),
    ),
    (
        "who reaches whom",
        "executor → accounts-db:5432 is let through, and nobody needs it",
        lambda o: [
            find(o, "NetworkPolicy", "executor")["spec"]["egress"][0]["to"].append(
                {"podSelector": {"matchLabels": {"cnpg.io/cluster": "accounts-db"}}}
            ),
            find(o, "NetworkPolicy", "accounts-db")["spec"]["ingress"][0]["from"].append(
                {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "executor"}}}
            ),
        ],
    ),
    (
        "who reaches whom",
        "toolbox → dispatcher:8081 is needed and not let through",
        lambda o: _expression(find(o, "NetworkPolicy", "looked-at"))["values"].remove("dispatcher"),
    ),
    (
        "nothing by default",
        "gateway is not closed by default (Ingress)",
        lambda o: remove(
            o, "NetworkPolicy", "everybody", "metrics", "gateway", "loaded", "looked-at"
        ),
    ),
    (
        "nothing by default",
        "a rule opens every port",
        lambda o: find(o, "NetworkPolicy", "gateway")["spec"]["egress"][0].pop("ports"),
    ),
    (
        "nothing by default",
        "a rule is for everybody",
        lambda o: find(o, "NetworkPolicy", "gateway")["spec"]["egress"][0].pop("to"),
    ),
    (
        "in from outside",
        "the ingress reaches gateway:8081",
        lambda o: find(o, "NetworkPolicy", "gateway")["spec"]["ingress"][0]["ports"].append(
            {"port": 8081}
        ),
    ),
    (
        "out of the cluster",
        "private or metadata addresses",
        lambda o: rule_of(o, "executor")["to"][0]["ipBlock"]["except"].remove("169.254.0.0/16"),
    ),
    (
        "out of the cluster",
        "out go",
        lambda o: rule_of(o, "executor")["ports"].append({"port": 80}),
    ),
]

EDGE_DEFECTS: list[tuple[str, str, Plant]] = [
    (
        "public ports only",
        "leads to gateway-internal",
        lambda o: find(o, "Ingress", "api")["spec"]["rules"][0]["http"]["paths"][0][
            "backend"
        ].update(service={"name": "gateway-internal", "port": {"number": 8081}}),
    ),
    (
        "public ports only",
        "without TLS",
        lambda o: find(o, "Ingress", "api")["spec"].pop("tls"),
    ),
    (
        "as patient",
        "cuts callers",
        lambda o: find(o, "Ingress", "api")["metadata"]["annotations"].update(
            {"nginx.org/proxy-read-timeout": "540s"}
        ),
    ),
    (
        "as patient",
        "refuses bodies",
        lambda o: find(o, "Ingress", "api")["metadata"]["annotations"].update(
            {"nginx.org/client-max-body-size": "2m"}
        ),
    ),
    (
        "as patient",
        "may send a request twice",
        lambda o: find(o, "Ingress", "api")["metadata"]["annotations"].pop(
            "nginx.org/location-snippets"
        ),
    ),
    (
        "as patient",
        "no words of ours",
        lambda o: find(o, "Ingress", "api")["metadata"]["annotations"].pop(
            "nginx.org/server-snippets"
        ),
    ),
    (
        "Pod Security",
        "does not enforce",
        lambda o: find(o, "Namespace", "reqrun")["metadata"].pop("labels"),
    ),
]

SCHEMA_DEFECTS: list[tuple[str, str, Plant]] = [
    (
        "API of Kubernetes",
        "'replica' was unexpected",
        lambda o: find(o, "Deployment", "gateway")["spec"].update(replica=2),
    ),
    (
        "API of Kubernetes",
        "has no policy/v1beta1 PodDisruptionBudget",
        lambda o: find(o, "PodDisruptionBudget", "gateway").update(apiVersion="policy/v1beta1"),
    ),
    (
        "fields we use",
        "unknown field `instance`",
        lambda o: find(o, "Cluster", "requests-db")["spec"].update(instance=3),
    ),
    (
        "fields we use",
        "unknown field `dataDurabilty`",
        lambda o: find(o, "Cluster", "requests-db")["spec"]["postgresql"]["synchronous"].update(
            dataDurabilty="required"
        ),
    ),
    (
        "fields we use",
        "no Struct of custom_resources.py",
        lambda o: find(o, "Redis", "cache").update(kind="RedisCluster"),
    ),
    (
        "broker's topology",
        "Policy/work.first is not as",
        lambda o: find(o, "Policy", "work.first")["spec"]["definition"].pop("overflow"),
    ),
    (
        "broker's topology",
        "User/billing is not as",
        lambda o: remove(o, "User", "billing"),
    ),
]


def alert(one: Overlay) -> dict[str, Any]:
    annotations: dict[str, Any] = find(one, "PrometheusRule", "reqrun")["spec"]["groups"][0][
        "rules"
    ][0]["annotations"]
    return annotations


VALUE_DEFECTS: list[tuple[str, str, Plant]] = [
    (
        "sessions of PostgreSQL",
        "requests-db admits 464 sessions, and 500 may be wanted",
        lambda o: find(o, "Cluster", "requests-db")["spec"]["postgresql"]["parameters"].update(
            max_connections="464"
        ),
    ),
    (
        "sessions of PostgreSQL",
        "requests-db admits 500 sessions, and 504 may be wanted",
        lambda o: find(o, "ScaledObject", "executor")["spec"].update(maxReplicaCount=51),
    ),
    (
        "sessions of PostgreSQL",
        "mailer is not in the table",
        lambda o: find(o, "Deployment", "billing-worker")["metadata"].update(name="mailer"),
    ),
    (
        "lead to the runbook",
        "alerts lead to https://reqrun.example/",
        lambda o: alert(o).update(runbook_url="https://reqrun.example/docs/runbook.md#x"),
    ),
    (
        "lead to the runbook",
        "2 places",
        lambda o: alert(o).update(runbook_url="https://elsewhere.example.com/#x"),
    ),
]

DEFECTS = [
    *POD_DEFECTS,
    *ROLLOUT_DEFECTS,
    *NETWORK_DEFECTS,
    *EDGE_DEFECTS,
    *SCHEMA_DEFECTS,
    *VALUE_DEFECTS,
]


def test_what_is_committed_has_no_defect(rendered: Overlay) -> None:
    findings = command.of_overlay(rendered)

    assert texts(findings) == ""
    assert all(one.looked_at for one in findings)


@pytest.mark.parametrize(
    ("rule", "text", "plant"),
    DEFECTS,
    ids=[f"{number}-{rule}" for number, (rule, _, _) in enumerate(DEFECTS)],
)
def test_a_planted_defect_is_found_by_its_rule(
    overlay: Overlay, rule: str, text: str, plant: Plant
) -> None:
    plant(overlay)

    found = [one for one in command.of_overlay(overlay) if rule in one.check]
    assert text in texts(found)


def test_every_rule_has_a_defect_planted_for_it() -> None:
    planted = {rule for rule, _, _ in DEFECTS}

    assert {rule.__name__ for rule in (*pods.RULES, *rollout.RULES)} <= planted


def test_every_check_of_an_overlay_has_a_defect_planted_for_it(rendered: Overlay) -> None:
    checks = [one.check for one in command.of_overlay(rendered)]

    assert [c for c in checks if not any(rule in c for rule, _, _ in DEFECTS)] == []


def test_names_that_stand_for_nothing_are_refused_where_that_is_asked(rendered: Overlay) -> None:
    found = names.check_filled_in(rendered)

    assert "PrometheusRule/reqrun still has https://runbook.reqrun.invalid" in texts([found])
    assert "Ingress/api still has api.reqrun.invalid" in texts([found])


def test_an_overlay_with_names_of_its_own_is_not_refused(overlay: Overlay) -> None:
    text = msgspec.json.encode(overlay.objects).replace(b".invalid", b".example.com")
    mine = Overlay(overlay.name, msgspec.json.decode(text))

    assert names.check_filled_in(mine).is_good


def test_a_check_that_looked_at_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    empty = Overlay("empty", [])

    assert all(not one.is_good for one in command.of_overlay(empty))
    assert command.report([Finding("some", 0, [])], ["empty"]) == 1
    assert "NOTHING WAS CHECKED" in capsys.readouterr().out
    assert command.report([], ["production"]) == 1
    assert command.report([Finding("some", 1, [])], []) == 1


def test_an_overlay_that_does_not_render_fails(tmp_path: Any) -> None:
    folder = tmp_path / "overlays" / "broken"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text("kind: Kustomization\nresources: [missing.yaml]\n")

    with pytest.raises(rendering.NotRendered, match=r"missing\.yaml"):
        rendering.installations(tmp_path)


def test_definitions_of_a_cluster_are_strict(overlay: Overlay, tmp_path: Any) -> None:
    (tmp_path / "crd.yaml").write_text("""
kind: List
items:
- kind: CustomResourceDefinition
  spec:
    group: redis.redis.opstreelabs.in
    names: {kind: Redis}
    versions:
    - name: v1beta2
      schema:
        openAPIV3Schema:
          type: object
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            spec: {type: object, properties: {size: {type: integer}}}
""")
    found = schemas.check_definitions(overlay, schemas.read_definitions(tmp_path))

    assert "Redis/cache: spec: Additional properties are not allowed" in texts([found])
    assert "Cluster/requests-db: there is no definition of this kind" in texts([found])


@pytest.mark.parametrize(
    "args", [["services.gateway", "serve"], ["services.mail", "web"]], ids=["role", "service"]
)
def test_a_process_that_no_struct_belongs_to_is_not_understood(
    overlay: Overlay, args: list[str]
) -> None:
    container(overlay)["args"] = args

    with pytest.raises(processes.NotUnderstood):
        processes.of_overlay(overlay)


def test_the_toolbox_needs_the_secrets_of_whom_it_hands_on_to(overlay: Overlay) -> None:
    toolbox = find(overlay, "CronJob", "toolbox")
    mounts = container_of(toolbox)["volumeMounts"]
    [mount] = [one for one in mounts if one["name"] == "billing"]
    secrets = settings.made_secrets()

    whole = [one for one in processes.of_overlay(overlay) if one.role == processes.TOOLBOX]
    assert settings.check(whole, secrets).is_good
    mount["mountPath"] = "/run/elsewhere"
    less = [one for one in processes.of_overlay(overlay) if one.role == processes.TOOLBOX]

    assert "REQRUN_SECRETS_BILLING REQRUN_DATABASE_URL is not set" in texts(
        [settings.check(less, secrets)]
    )


def test_a_setting_that_comes_from_nowhere_is_not_understood(overlay: Overlay) -> None:
    container(overlay)["envFrom"] = [{"configMapRef": {"name": "gatewey"}}]

    with pytest.raises(processes.NotUnderstood, match="gatewey"):
        processes.of_overlay(overlay)


def test_the_topology_that_is_committed_is_written_by_the_code(tmp_path: Any) -> None:
    topology.write(tmp_path / "topology.yaml")

    assert (tmp_path / "topology.yaml").read_text() == topology.FILE.read_text()


def test_network_rules_know_every_process(rendered: Overlay) -> None:
    names = {one["metadata"]["name"] for one in rendered.of("Deployment", "Job", "CronJob")}

    assert names == set(network.CALLS)
    assert edge.API in {one["metadata"]["name"] for one in rendered.of("Ingress")}
