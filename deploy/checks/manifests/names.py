"""What only an operator knows: names that stand for nothing here, and the runbook's place."""

from collections.abc import Iterator
from typing import Any, Final

from deploy.checks.manifests.objects import Finding, Object, Overlay, finding, title
from deploy.grafana.rules import PLACEHOLDER

UNSET: Final = (".invalid", PLACEHOLDER)


def check(overlay: Overlay) -> Finding:
    """Every alert leads to the one place that the overlay names, and not to the source's."""
    urls = [url for one in overlay.of("PrometheusRule") for url in _runbook_urls(one)]
    places = {url.partition("#")[0] for url in urls}
    faults = [f"alerts lead to {place}" for place in places if place.startswith(PLACEHOLDER)]
    if len(places) > 1:
        faults.append(f"alerts lead to {len(places)} places")
    return finding(f"{overlay.name}: alerts lead to the runbook", urls, faults)


def check_filled_in(overlay: Overlay) -> Finding:
    """Nothing is left of the names that stand for nothing. Not for the overlays as they come."""
    faults = (
        f"{title(one)} still has {text}"
        for one in overlay.objects
        for text in _texts(one)
        if any(name in text for name in UNSET)
    )
    return finding(f"{overlay.name}: all names are yours", overlay.objects, faults)


def _runbook_urls(rule: Object) -> Iterator[str]:
    for group in rule["spec"]["groups"]:
        for one in group["rules"]:
            yield one["annotations"]["runbook_url"]


def _texts(found: Any) -> Iterator[str]:
    """Every text in an object, however deep."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for one in found.values():
            yield from _texts(one)
    elif isinstance(found, list):
        for one in found:
            yield from _texts(one)
