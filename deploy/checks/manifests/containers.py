"""The compose file: hardened, waited for, and reachable from this machine only."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from deploy.checks.manifests.objects import Finding, finding

SERVERS: Final = {"postgresql", "rabbitmq", "redis"}
"""Images of others, which harden themselves."""


def check(known: Mapping[str, Any]) -> list[Finding]:
    """Every container, and every volume of secrets."""
    services = known["services"]
    faults = (f"{name} {text}" for name, one in services.items() for text in _faults(name, one))
    order = (f"{name} {text}" for name, one in services.items() for text in _order(one, services))
    secrets = [name for name in known["volumes"] if name.endswith("-secrets")]
    return [
        finding("compose: containers", services, faults),
        finding("compose: waits for what it needs", services, order),
        finding("compose: who mounts a secret", secrets, _mounts(services)),
    ]


def _faults(name: str, one: Mapping[str, Any]) -> Iterator[str]:
    if name not in SERVERS:
        yield from _softness(one)
    if one.get("privileged") or one.get("network_mode") == "host":
        yield "is not confined"
    if str(one["image"]).endswith(":latest") or ":" not in one["image"]:
        yield "has an image that is not pinned"
    if one.get("restart") != "no" and not one.get("healthcheck", {}).get("test"):
        yield "has no health check"
    for port in one.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            yield f"publishes {port.get('published')} to everybody"


def _softness(one: Mapping[str, Any]) -> Iterator[str]:
    if one.get("read_only") is not True or one.get("cap_drop") != ["ALL"]:
        yield "may write to its root or keeps capabilities"
    if "no-new-privileges:true" not in one.get("security_opt", []):
        yield "may gain privileges"


def _order(one: Mapping[str, Any], services: Mapping[str, Any]) -> Iterator[str]:
    """A server or a process is waited for until it is healthy, a one-shot until it is done."""
    for other, wish in (one.get("depends_on") or {}).items():
        is_once = services[other].get("restart") == "no"
        wanted = "service_completed_successfully" if is_once else "service_healthy"
        if wish["condition"] != wanted:
            yield f"does not wait until {other} is {'done' if is_once else 'healthy'}"


def _mounts(services: Mapping[str, Any]) -> Iterator[str]:
    """`prepare` writes all of them; everybody else reads its own."""
    for name, one in services.items():
        for volume in one.get("volumes", []):
            is_secret = str(volume.get("source", "")).endswith("-secrets")
            if is_secret and name != "prepare" and not volume.get("read_only"):
                yield f"{name} may write to {volume['source']}"
            if volume.get("source") == "site" and name != "prepare":
                yield f"{name} reads every secret there is"
