"""Who may reach whom, held to what each process is told to call.

Default is nothing. An edge needs both sides: the caller's policy lets it out, the called one's lets
it in. Import rules say that services ask each other over HTTP only; the topology says who has the
broker; the settings say the rest.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

import msgspec

from deploy.checks.manifests.objects import (
    Finding,
    Object,
    Overlay,
    finding,
    labels_of,
    selects,
    workloads,
)

INSIDE: Final = 8081
PUBLIC: Final = 8080
DATABASE: Final = 5432
BROKER: Final = 5672
CACHE: Final = 6379

SERVERS: Final[Mapping[str, dict[str, str]]] = {
    "requests-db": {"cnpg.io/cluster": "requests-db"},
    "accounts-db": {"cnpg.io/cluster": "accounts-db"},
    "billing-db": {"cnpg.io/cluster": "billing-db"},
    "broker": {"app.kubernetes.io/name": "broker"},
    "cache": {"app": "cache"},
}
"""The labels that the operators put on their pods."""


class Edge(msgspec.Struct, frozen=True, order=True):
    """One pod, by its name, that may open a connection to a port of another."""

    source: str
    target: str
    port: int


_PROCESSES: Final = (
    "gateway", "executor", "dispatcher", "simulator", "accounts", "accounts-worker", "billing",
    "billing-worker",
)  # fmt: skip
_LEDGER: Final = {("requests-db", DATABASE), ("broker", BROKER), ("cache", CACHE)}
_ACCOUNTS: Final = {
    ("accounts-db", DATABASE),
    ("gateway", INSIDE),
    ("executor", INSIDE),
    ("billing", INSIDE),
}

CALLS: Final[Mapping[str, set[tuple[str, int]]]] = {
    "gateway": {*_LEDGER, ("accounts", INSIDE), ("executor", INSIDE)},
    "executor": {*_LEDGER, ("accounts", INSIDE), ("simulator", PUBLIC)},
    "dispatcher": {*_LEDGER, ("accounts", INSIDE)},
    "simulator": set(),
    "accounts": _ACCOUNTS,
    "accounts-worker": {*_ACCOUNTS, ("broker", BROKER)},
    "billing": {("billing-db", DATABASE)},
    "billing-worker": {("billing-db", DATABASE), ("broker", BROKER), ("gateway", INSIDE)},
    "toolbox": {
        *_LEDGER,
        ("accounts-db", DATABASE),
        ("billing-db", DATABASE),
        ("gateway", PUBLIC),
        *((name, INSIDE) for name in _PROCESSES),
    },
    "requests-migration": {("requests-db", DATABASE)},
    "accounts-migration": {("accounts-db", DATABASE)},
    "billing-migration": {("billing-db", DATABASE)},
}
"""Whom each process calls (its adapters, app.py)."""

FROM_OUTSIDE: Final = {"gateway", "accounts", "billing"}
"""Whose public port the ingress controller may reach."""

TO_OUTSIDE: Final = {
    "executor": {443},
    "accounts-worker": {465, 587},
    "billing": {443},
    "billing-worker": {443},
}
"""Who may leave the cluster, and by which ports: to providers, the mail relay, Paddle."""

INGRESS_CONTROLLER: Final = "nginx-ingress"
_PORTS: Final = (PUBLIC, INSIDE, DATABASE, BROKER, CACHE)
_NAMESPACE: Final = "kubernetes.io/metadata.name"
_FORBIDDEN: Final = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}


def check(overlay: Overlay) -> list[Finding]:
    """Every edge there is, against every edge that must be."""
    pods = {**SERVERS}
    for one in workloads(overlay):
        pods[labels_of(one)["app.kubernetes.io/name"]] = labels_of(one)
    policies = overlay.of("NetworkPolicy")
    wanted = {Edge(name, *call) for name, calls in CALLS.items() for call in calls}
    found = edges(pods, policies) & {Edge(a, b, p) for a in CALLS for b in pods for p in _PORTS}
    faults = [
        *(f"{_text(edge)} is needed and not let through" for edge in sorted(wanted - found)),
        *(f"{_text(edge)} is let through, and nobody needs it" for edge in sorted(found - wanted)),
        *(
            f"nobody says whom {name} calls"
            for name in sorted(set(pods) - set(SERVERS) - set(CALLS))
        ),
    ]
    return [
        finding(f"{overlay.name}: who reaches whom", found, faults),
        finding(f"{overlay.name}: nothing by default", pods, _open(pods, policies)),
        finding(f"{overlay.name}: in from outside", FROM_OUTSIDE, _let_in(pods, policies)),
        finding(f"{overlay.name}: out of the cluster", TO_OUTSIDE, _let_out(pods, policies)),
    ]


def edges(pods: Mapping[str, dict[str, str]], policies: list[Object]) -> set[Edge]:
    """What both sides let through, among these pods of one namespace."""
    out = set(_sides(pods, policies, "egress"))
    into = {Edge(e.target, e.source, e.port) for e in _sides(pods, policies, "ingress")}
    return out & into


def _sides(pods: Mapping[str, dict[str, str]], policies: list[Object], way: str) -> Iterator[Edge]:
    """From the selected pod's point of view: `source` is the selected one."""
    for name, peer, port in _rules(pods, policies, way):
        if "podSelector" in peer and "namespaceSelector" not in peer:
            chosen = _chosen(pods, peer["podSelector"])
            yield from (Edge(name, other, port) for other in chosen)


def _rules(
    pods: Mapping[str, dict[str, str]], policies: list[Object], way: str
) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every pod that a policy selects, with each peer and port of its rules."""
    side = "to" if way == "egress" else "from"
    for policy in policies:
        chosen = _chosen(pods, policy["spec"]["podSelector"])
        for rule in policy["spec"].get(way, []):
            ports = [int(port.get("port", 0)) for port in rule.get("ports", [{}])]
            yield from product(chosen, rule.get(side, []), ports)


def _chosen(pods: Mapping[str, dict[str, str]], selector: Object) -> list[str]:
    return [name for name, labels in pods.items() if selects(selector, labels)]


def _open(pods: Mapping[str, dict[str, str]], policies: list[Object]) -> Iterator[str]:
    """Pods that no policy closes, and rules that name nobody or no port."""
    for name, labels in sorted(pods.items()):
        for kind in ("Ingress", "Egress"):
            closing = (p for p in policies if kind in p["spec"].get("policyTypes", []))
            if not any(selects(p["spec"]["podSelector"], labels) for p in closing):
                yield f"{name} is not closed by default ({kind})"
    for policy in policies:
        for way, side in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(way, []):
                yield from _too_wide(policy["metadata"]["name"], rule, side)


def _too_wide(name: str, rule: Object, side: str) -> Iterator[str]:
    """Servers alone reach everybody, the API of Kubernetes: every cluster chooses its address."""
    if not rule.get("ports"):
        yield f"{name}: a rule opens every port"
    if not rule.get(side) and name not in SERVERS:
        yield f"{name}: a rule is for everybody"


def _let_in(pods: Mapping[str, dict[str, str]], policies: list[Object]) -> Iterator[str]:
    found = {
        (name, port)
        for name, peer, port in _rules(pods, policies, "ingress")
        if peer.get("namespaceSelector", {}).get("matchLabels", {}).get(_NAMESPACE)
        == INGRESS_CONTROLLER
    }
    wanted = {(name, PUBLIC) for name in FROM_OUTSIDE}
    yield from (f"the ingress does not reach {a}:{p}" for a, p in sorted(wanted - found))
    yield from (f"the ingress reaches {a}:{p}" for a, p in sorted(found - wanted))


def _let_out(pods: Mapping[str, dict[str, str]], policies: list[Object]) -> Iterator[str]:
    found: dict[str, set[int]] = {}
    for name, peer, port in _rules(pods, policies, "egress"):
        if "ipBlock" in peer:
            found.setdefault(name, set()).add(port)
            block = peer["ipBlock"]
            if "." in block["cidr"] and not set(block.get("except", [])) >= _FORBIDDEN:
                yield f"{name} may reach private or metadata addresses"
    if found != TO_OUTSIDE:
        yield f"out go {found}, and not {dict(TO_OUTSIDE)}"


def _text(edge: Edge) -> str:
    return f"{edge.source} → {edge.target}:{edge.port}"
