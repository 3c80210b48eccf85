"""The alert rules: `alerts.yaml` in Prometheus's own form, and what is made of it."""

import re
from typing import Final

import msgspec
import yaml

RULES: Final = "deploy/grafana/alerts.yaml"
PROMETHEUS_RULE: Final = "deploy/k8s/base/alerts/rules.yaml"

PLACEHOLDER: Final = "https://reqrun.example/"
"""Where alerts lead until an overlay says where the runbook is kept."""

_NAME: Final = re.compile(r"\b(?:reqrun|process)_[a-z0-9_]+\b(?!\s*=)")
_HEAD: Final = """\
# Made from deploy/grafana/alerts.yaml by `make metrics`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: reqrun
spec:
"""


class Alert(msgspec.Struct, frozen=True):
    """One rule."""

    name: str
    expression: str
    severity: str
    summary: str
    runbook_url: str


def rules(source: str) -> list[Alert]:
    """All alerts of a rule file, in order."""
    groups = yaml.safe_load(source)["groups"]
    return [
        Alert(
            name=rule["alert"],
            expression=rule["expr"],
            severity=rule["labels"]["severity"],
            summary=rule["annotations"]["summary"],
            runbook_url=rule["annotations"]["runbook_url"],
        )
        for group in groups
        for rule in group["rules"]
    ]


def names_in(expression: str) -> set[str]:
    """The metrics that a PromQL expression names."""
    return set(_NAME.findall(expression))


def prometheus_rule(source: str) -> str:
    """The same rules for the Prometheus operator, comments and all."""
    body = source[source.index("groups:") :]
    return _HEAD + "".join(f"  {line}" for line in body.splitlines(keepends=True))
