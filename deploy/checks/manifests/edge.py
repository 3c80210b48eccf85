"""The way in: only public ports, long enough, large enough, in our words."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from deploy.checks.manifests.network import FROM_OUTSIDE, PUBLIC
from deploy.checks.manifests.objects import Finding, Object, Overlay, finding, title
from libs.common.web.errors import ErrorView
from services.gateway.settings import Settings as Gateway

API: Final = "api"
"""The Ingress of the gateway."""

_PREFIX: Final = "nginx.org/"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
_BYTES: Final = {"k": 1024, "m": 1024**2, "g": 1024**3}
_BODIES: Final = re.compile(r"return \d+ '([^']*)'")


def check(overlay: Overlay) -> list[Finding]:
    """Where every Ingress leads, and what the gateway's lets through."""
    found = overlay.of("Ingress")
    faults = (f"{title(one)} {text}" for one in found for text in _leads(one, overlay))
    of_gateway = [one for one in found if one["metadata"]["name"] == API]
    bounds = (f"{title(one)} {text}" for one in of_gateway for text in _bounds(one))
    spaces = overlay.of("Namespace")
    return [
        finding(f"{overlay.name}: the ingress leads to public ports only", found, faults),
        finding(f"{overlay.name}: the ingress is as patient as the gateway", of_gateway, bounds),
        finding(f"{overlay.name}: Pod Security", spaces, _restricted(spaces)),
    ]


def _leads(ingress: Object, overlay: Overlay) -> Iterator[str]:
    services = {one["metadata"]["name"]: one for one in overlay.of("Service")}
    hosts = {host for entry in ingress["spec"].get("tls", []) for host in entry["hosts"]}
    if "defaultBackend" in ingress["spec"]:
        yield "has a backend for whatever comes"
    for rule in ingress["spec"]["rules"]:
        if rule.get("host") not in hosts:
            yield f"serves {rule.get('host')} without TLS"
        for path in rule["http"]["paths"]:
            service = path["backend"]["service"]
            if not _is_public(services.get(service["name"]), service["port"]):
                yield f"leads to {service['name']}, port {service['port']}"
            if service["name"] not in FROM_OUTSIDE:
                yield f"leads to {service['name']}, whom network.py lets nobody reach from outside"


def _is_public(service: Object | None, port: dict[str, Any]) -> bool:
    ports = service["spec"]["ports"] if service else []
    return any(p["name"] == "public" and p["port"] == PUBLIC for p in ports) and port in (
        {"name": "public"},
        {"number": PUBLIC},
    )


def _bounds(ingress: Object) -> Iterator[str]:
    known = ingress["metadata"].get("annotations", {})
    defaults = {field.name: field.default for field in msgspec.structs.fields(Gateway)}
    if _seconds(known, "proxy-read-timeout") <= defaults["drop_in_wait"].total_seconds():
        yield "cuts callers that wait for their result"
    if _size(known, "client-max-body-size") <= defaults["max_body_bytes"]:
        yield "refuses bodies that the gateway takes"
    if "proxy_next_upstream off;" not in known.get(f"{_PREFIX}location-snippets", ""):
        yield "may send a request twice"
    yield from _words(known.get(f"{_PREFIX}server-snippets", ""))


def _words(snippet: str) -> Iterator[str]:
    """What it answers in the gateway's place looks like the gateway's, and never replaces that."""
    bodies = _BODIES.findall(snippet)
    if not bodies:
        yield "has no words of ours for its own errors"
    for body in bodies:
        try:
            msgspec.json.decode(body, type=ErrorView, strict=True)
        except msgspec.DecodeError:
            yield f"answers {json.dumps(body)}, which is not our envelope"
    if "proxy_intercept_errors off;" not in snippet:
        yield "may replace the gateway's own errors"
    for code in ("413", "502", "503", "504"):
        if not re.search(rf"error_page [\d ]*\b{code}\b", snippet):
            yield f"answers {code} in its own words"


def _restricted(spaces: list[Object]) -> Iterator[str]:
    for space in spaces:
        labels = space["metadata"].get("labels", {})
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{title(space)} does not enforce Pod Security restricted"


def _seconds(annotations: dict[str, str], name: str) -> int:
    return _number(annotations.get(_PREFIX + name, "0s"), _UNITS)


def _size(annotations: dict[str, str], name: str) -> int:
    return _number(annotations.get(_PREFIX + name, "0k"), _BYTES)


def _number(text: str, units: dict[str, int]) -> int:
    return int(text[:-1]) * units[text[-1].lower()] if text[-1:].lower() in units else 0
