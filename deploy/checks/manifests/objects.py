"""Rendered objects, and what a check answers."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

Object = dict[str, Any]
"""One Kubernetes object, as YAML has it."""


class Overlay(msgspec.Struct, frozen=True):
    """What `kubectl kustomize` made of one folder."""

    name: str
    objects: list[Object]

    def of(self, *kinds: str) -> list[Object]:
        """Those of some kinds."""
        return [found for found in self.objects if found["kind"] in kinds]


class Finding(msgspec.Struct, frozen=True):
    """What one check found. `looked_at`: how many things; none is a fault in itself."""

    check: str
    looked_at: int
    faults: list[str]

    @property
    def is_good(self) -> bool:
        """Whether it looked at something and found nothing."""
        return self.looked_at > 0 and not self.faults


def finding(check: str, looked_at: Iterable[object], faults: Iterable[str]) -> Finding:
    """Of what was looked at, and what is wrong with it."""
    return Finding(check, len(list(looked_at)), list(dict.fromkeys(faults)))


def title(found: Object) -> str:
    """`Kind/name`, for people."""
    return f"{found['kind']}/{found['metadata']['name']}"


def pod_of(found: Object) -> Object:
    """The pod's specification of a Deployment, Job or CronJob."""
    pod: Object = _template_of(found)["spec"]
    return pod


def container_of(found: Object) -> Object:
    """The first container: processes have one."""
    container: Object = pod_of(found)["containers"][0]
    return container


def labels_of(found: Object) -> dict[str, str]:
    """The labels of its pods."""
    labels: dict[str, str] = _template_of(found)["metadata"].get("labels", {})
    return labels


def _template_of(found: Object) -> Object:
    """A CronJob's pods are those of the jobs that it makes."""
    job: Object = found["spec"].get("jobTemplate", found)
    template: Object = job["spec"]["template"]
    return template


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector of equalities and of `In`, all that is used here, selects these."""
    wanted: dict[str, str] = selector.get("matchLabels", {})
    listed = [(one["key"], one["values"]) for one in selector.get("matchExpressions", [])]
    is_listed = all(labels.get(key) in values for key, values in listed)
    return wanted.items() <= labels.items() and is_listed


def workloads(overlay: Overlay) -> Iterator[Object]:
    """Everything that runs pods of ours."""
    yield from overlay.of("Deployment", "Job", "CronJob", "StatefulSet", "DaemonSet", "Pod")
