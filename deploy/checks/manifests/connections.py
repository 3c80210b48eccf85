"""Sessions of PostgreSQL: as many as every process may open when it is scaled as far as it goes."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from deploy.checks.manifests.objects import Finding, Object, Overlay, finding
from libs.common.database import Bounds
from libs.ledger.dispatcher_ledger import CONNECTIONS as DISPATCHER
from libs.ledger.ledger import ExecutorLedger
from services.gateway.settings import Settings as Gateway

RESERVED: Final = 8
"""Three for superusers, one for the autoscaler, some for operators, migrations and monitoring."""

Plan = Mapping[str, tuple[str, int]]


def _default(of: Callable[..., Any], name: str) -> int:
    return int(inspect.signature(of).parameters[name].default)


def _gateway() -> int:
    """Two pools: one for plans made once, one for the others."""
    [size] = [f.default for f in msgspec.structs.fields(Gateway) if f.name == "ledger_connections"]
    return 2 * int(size)


_OWN: Final = Bounds().connections
POOLS: Final[Plan] = {
    "gateway": ("requests-db", _gateway()),
    "executor": ("requests-db", _default(ExecutorLedger, "connections")),
    "dispatcher": ("requests-db", DISPATCHER + _OWN),
    "accounts": ("accounts-db", _OWN),
    "accounts-worker": ("accounts-db", _OWN),
    "billing": ("billing-db", _OWN),
    "billing-worker": ("billing-db", _OWN),
}
"""By Deployment: its database, and how many sessions each of its pods may open."""
WITHOUT: Final = frozenset({"simulator"})


def check(overlay: Overlay) -> Finding:
    """Whether each Cluster admits all, one pod more of each kind than its scaler allows."""
    clusters = {one["metadata"]["name"]: one for one in overlay.of("Cluster")}
    return finding(f"{overlay.name}: sessions of PostgreSQL", clusters, _faults(overlay, clusters))


def needed(overlay: Overlay, database: str) -> int:
    """Sessions when all are scaled as far as they go, and a roll-out is under way."""
    return RESERVED + sum(
        (_most(overlay, name) + _surge(found)) * POOLS[name][1]
        for found in overlay.of("Deployment")
        if (name := found["metadata"]["name"]) in POOLS and POOLS[name][0] == database
    )


def _faults(overlay: Overlay, clusters: Mapping[str, Object]) -> Iterator[str]:
    known = {one["metadata"]["name"] for one in overlay.of("Deployment")}
    yield from (f"{name} is not in the table of pools" for name in known - set(POOLS) - WITHOUT)
    for name, cluster in clusters.items():
        most = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
        if most < (wanted := needed(overlay, name)):
            yield f"{name} admits {most} sessions, and {wanted} may be wanted"


def _most(overlay: Overlay, name: str) -> int:
    """How many pods there may be."""
    for one in overlay.of("HorizontalPodAutoscaler", "ScaledObject"):
        if one["spec"]["scaleTargetRef"]["name"] == name:
            most = one["spec"].get("maxReplicas", one["spec"].get("maxReplicaCount"))
            return int(most)
    [found] = [one for one in overlay.of("Deployment") if one["metadata"]["name"] == name]
    return int(found["spec"].get("replicas", 1))


def _surge(found: Object) -> int:
    """How many more there are during a roll-out. A share of them is none of what we use."""
    surge = found["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", "25%")
    return surge if isinstance(surge, int) else sys.maxsize
