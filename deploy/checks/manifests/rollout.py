"""What keeps requests from being lost while pods come and go (reliability: rules 46 to 50)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from deploy.checks.manifests.objects import (
    Finding,
    Object,
    Overlay,
    container_of,
    finding,
    labels_of,
    pod_of,
    selects,
    title,
)
from services.executor.settings import Settings as Executor

STEP_ASIDE_SECONDS: Final = 10
"""Between a pod's end in the endpoints and SIGTERM, wherever somebody calls it."""
LAST_SECONDS: Final = 20
"""After the calls have ended: connections, flushed publishes, time to spare."""
GRACE: Final = "REQRUN_GRACE"
LEAST: Final = 2
SCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")

Rule = Callable[[Object, Overlay], Iterator[str]]


def lives_and_is_ready(found: Object, _: Overlay) -> Iterator[str]:
    """Liveness asks for nothing but the process, readiness whether it can work."""
    container = container_of(found)
    wanted = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in wanted.items():
        known = container.get(probe, {}).get("httpGet", {})
        if known != {"path": path, "port": "internal"}:
            yield f"its {probe} is not {path} on the internal port"


def steps_aside(found: Object, overlay: Overlay) -> Iterator[str]:
    """Who is called waits until nobody calls it any more; then there is time for what runs."""
    container, pod = container_of(found), pod_of(found)
    hook = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if _is_called(container) and hook < STEP_ASIDE_SECONDS:
        yield f"gets SIGTERM before {STEP_ASIDE_SECONDS} s have passed"
    needed = hook + _grace(found, overlay) + LAST_SECONDS
    if pod.get("terminationGracePeriodSeconds", 30) < needed:
        yield f"is killed before {needed} s"


def is_replaced_first(found: Object, _: Overlay) -> Iterator[str]:
    """A roll-out takes nobody away before another is there."""
    strategy = found["spec"].get("strategy", {})
    bound = strategy.get("rollingUpdate", {}).get("maxUnavailable")
    if strategy.get("type", "RollingUpdate") != "RollingUpdate" or bound not in (0, "0%"):
        yield "has fewer pods than it should during a roll-out"


def is_never_alone(found: Object, overlay: Overlay) -> Iterator[str]:
    """Two of each, spread, of which a drained node takes one at a time."""
    labels = labels_of(found)
    yield from _too_few(found, overlay)
    spread = pod_of(found).get("topologySpreadConstraints", [])
    if not spread or not all(selects(one.get("labelSelector", {}), labels) for one in spread):
        yield "is not spread over nodes"
    budgets = overlay.of("PodDisruptionBudget")
    own = [one for one in budgets if selects(one["spec"]["selector"], labels)]
    if len(own) != 1 or own[0]["spec"].get("maxUnavailable") != 1:
        yield "has no disruption budget of one pod"


def _too_few(found: Object, overlay: Overlay) -> Iterator[str]:
    """How many there are is said once: by the Deployment, or by what scales it."""
    name, said = found["metadata"]["name"], found["spec"].get("replicas")
    for one in overlay.of(*SCALERS):
        if one["spec"]["scaleTargetRef"]["name"] == name:
            least = one["spec"].get("minReplicas", one["spec"].get("minReplicaCount", 0))
            if said is not None:
                yield f"is set back to {said} pods by every apply"
            if least < LEAST:
                yield "is scaled down to one pod"
            return
    if (said or 1) < LEAST:
        yield "is one pod"


RULES: Final[tuple[Rule, ...]] = (
    lives_and_is_ready,
    steps_aside,
    is_replaced_first,
    is_never_alone,
)


def check(overlay: Overlay) -> list[Finding]:
    """Every rule on every Deployment, and what stands between them."""
    found = overlay.of("Deployment")
    per_rule = [
        finding(
            f"{overlay.name}: roll-out {rule.__name__}",
            found,
            (f"{title(one)} {fault}" for one in found for fault in rule(one, overlay)),
        )
        for rule in RULES
    ]
    return [*per_rule, _services(overlay), _scalers(overlay)]


def _services(overlay: Overlay) -> Finding:
    """Each Service leads to a Deployment, and to a port that it has."""
    services = overlay.of("Service")
    faults = (f"{title(one)} {text}" for one in services for text in _leads(one, overlay))
    return finding(f"{overlay.name}: services lead somewhere", services, faults)


def _leads(service: Object, overlay: Overlay) -> Iterator[str]:
    selector = {"matchLabels": service["spec"]["selector"]}
    behind = [one for one in overlay.of("Deployment") if selects(selector, labels_of(one))]
    if len(behind) != 1:
        yield f"leads to {len(behind)} deployments"
        return
    ports = {port["name"] for port in container_of(behind[0]).get("ports", [])}
    yield from (
        f"leads to {port['targetPort']}, which is no port"
        for port in service["spec"]["ports"]
        if port.get("targetPort") not in ports
    )


def _scalers(overlay: Overlay) -> Finding:
    """Each scales a Deployment that is there, and nobody else scales it."""
    scalers = overlay.of(*SCALERS)
    targets = [one["spec"]["scaleTargetRef"]["name"] for one in scalers]
    known = {one["metadata"]["name"] for one in overlay.of("Deployment")}
    faults = [f"{name} is scaled, and not there" for name in targets if name not in known]
    faults += [f"{name} is scaled twice" for name in targets if targets.count(name) > 1]
    return finding(f"{overlay.name}: scalers", scalers, faults)


def _is_called(container: Mapping[str, Any]) -> bool:
    """Over HTTP, by customers: whoever has a public port."""
    return any(port["name"] == "public" for port in container.get("ports", []))


def _grace(found: Object, overlay: Overlay) -> float:
    """Seconds for calls after SIGTERM: ten of a web process, GRACE of an executor."""
    if "worker" not in container_of(found)["args"] or found["metadata"]["name"] != "executor":
        return 10.0 if _is_called(container_of(found)) else 0.0
    settings = {one["metadata"]["name"]: one["data"] for one in overlay.of("ConfigMap")}
    names = [s["configMapRef"]["name"] for s in container_of(found).get("envFrom", [])]
    given = {key: value for name in names for key, value in settings.get(name, {}).items()}
    default = msgspec.structs.fields(Executor)
    seconds = {field.name: field.default for field in default}["grace"].total_seconds()
    return float(given.get(GRACE, seconds))
