"""What every pod of ours must be: the rules, one function each.

They are those of Pod Security "restricted" and of NSA's and CIS's guides as far as a manifest shows
them, and ours (reliability: rules 46 to 50). A rule yields a fault a line.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from deploy.checks.manifests.objects import (
    Finding,
    Object,
    Overlay,
    container_of,
    finding,
    pod_of,
    title,
    workloads,
)
from deploy.secrets import kubernetes

MIN_UID: Final = 10_000
OPERATOR: Final = "deploy.operator"
_PINNED: Final = re.compile(r"^[\w.\-/:]+(:(?!latest$)[\w.\-]+|@sha256:[0-9a-f]{64})$")
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace")
_VOLUMES: Final = {"secret", "emptyDir"}

Rule = Callable[[Object], Iterator[str]]


def is_nobody(found: Object) -> Iterator[str]:
    """Not root, by number, and never to become it."""
    pod, own = pod_of(found).get("securityContext", {}), _own(found)
    if pod.get("runAsNonRoot") is not True or own.get("runAsNonRoot") is not True:
        yield "may run as root"
    for name in ("runAsUser", "runAsGroup"):
        if int(pod.get(name, 0)) < MIN_UID or own.get(name, MIN_UID) < MIN_UID:
            yield f"{name} is no number of ours"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "may gain privileges"


def is_confined(found: Object) -> Iterator[str]:
    """Nothing of the kernel that it does not need, nothing to write to, nothing of the host."""
    pod, own = pod_of(found), _own(found)
    if pod.get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root"
    if own.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    yield from (f"has {name}" for name in _HOST if pod.get(name))
    for volume in pod.get("volumes", []):
        if not set(volume) & _VOLUMES:
            yield f"mounts {volume['name']}, which is neither a secret nor empty"
    if any("hostPort" in port for port in container_of(found).get("ports", [])):
        yield "takes a port of the host"


def has_no_token(found: Object) -> Iterator[str]:
    """An account of its own, and no token for the API of Kubernetes."""
    pod = pod_of(found)
    if pod.get("automountServiceAccountToken") is not False:
        yield "gets a token"
    if pod.get("serviceAccountName") != found["metadata"]["name"]:
        yield "has no service account of its own"
    if pod.get("enableServiceLinks") is not False:
        yield "has its neighbours' addresses in the environment"


def is_bounded(found: Object) -> Iterator[str]:
    """Requests for CPU and memory, a limit for memory. None for CPU: it would only throttle."""
    resources = container_of(found).get("resources", {})
    for name in ("cpu", "memory"):
        if name not in resources.get("requests", {}):
            yield f"requests no {name}"
    if "memory" not in resources.get("limits", {}):
        yield "has no limit of memory"
    for volume in pod_of(found).get("volumes", []):
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"{volume['name']} may fill the node's disk"


def has_one_container(found: Object) -> Iterator[str]:
    """Of a pinned image, in exec form: process 1 is Python and hears SIGTERM."""
    pod, container = pod_of(found), container_of(found)
    if len(pod["containers"]) != 1 or pod.get("initContainers"):
        yield "has other containers, which no rule here looks at"
    if not _PINNED.fullmatch(container["image"]):
        yield f"its image is not pinned: {container['image']}"
    module = str(container.get("args", [""])[0])
    if "command" in container or not (module.startswith("services.") or module == OPERATOR):
        yield f"is not started as `python -m services.…` or `{OPERATOR}`"


def has_secrets_as_files(found: Object) -> Iterator[str]:
    """Read-only files, not the environment; and only such secrets as deploy/secrets makes."""
    container = container_of(found)
    sources = [*container.get("env", []), *container.get("envFrom", [])]
    if any("secretKeyRef" in str(source) or "secretRef" in source for source in sources):
        yield "has secrets in its environment"
    for volume in pod_of(found).get("volumes", []):
        name = volume.get("secret", {}).get("secretName")
        if name is not None and name not in kubernetes.names():
            yield f"deploy/secrets makes no secret called {name}"
        if name is not None and volume["secret"].get("defaultMode", 0o644) & 0o007:
            yield f"everybody may read {name}"


RULES: Final[tuple[Rule, ...]] = (
    is_nobody,
    is_confined,
    has_no_token,
    is_bounded,
    has_one_container,
    has_secrets_as_files,
)


def check(overlay: Overlay) -> list[Finding]:
    """Every rule on every pod."""
    found = list(workloads(overlay))
    return [
        finding(
            f"{overlay.name}: pod {rule.__name__}",
            found,
            (f"{title(one)} {fault}" for one in found for fault in rule(one)),
        )
        for rule in RULES
    ]


def _own(found: Object) -> dict[str, Any]:
    own: dict[str, Any] = container_of(found).get("securityContext", {})
    return own
