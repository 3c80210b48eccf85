"""Every metric that a process exposes is documented, well named, and bounded; no other is."""

import re
from pathlib import Path
from typing import Final

import pytest

from deploy.grafana.inventory import SERVICES, Metric, inventory
from deploy.grafana.products import products

ROOT: Final = Path(__file__).parents[3]

UNITS: Final = {
    "seconds", "bytes", "requests", "rows", "calls", "items", "messages", "places", "info",
    # adjectives that say which of our own things is counted
    "running", "waiting", "local", "drift",
}  # fmt: skip
LABELS: Final = {
    "age": "five groups",
    "batch": "names of batches, constants",
    "code": "codes of our own errors",
    "counter": "the counters of the ledger",
    "database": "three",
    "error_code": "codes of our own, never the provider's",
    "exchange": "of libs/common/broker/topology.py",
    "fate": "constants",
    "found": "constants",
    "link": "publisher or consumer",
    "night": "two",
    "outcome": "constants",
    "percent": "the thresholds of services/billing",
    "process": "of deploy/local/processes.py",
    "queue": "of libs/common/broker/topology.py",
    "reason": "constants",
    "route": "paths as the routes have them, with their parameters' names",
    "state": "of libs/ledger/states.py",
    "status": "HTTP's",
    "table": "a database's tables",
    "what": "constants",
    "why": "constants",
}
"""Each label there may be, and why its values are few. A new one is one more line."""


def test_every_service_was_asked() -> None:
    assert {service for of in inventory().values() for service in of} == {*SERVICES}
    assert len(inventory()) > 60


@pytest.mark.parametrize(
    "kind", ["counter", "gauge", "histogram"], ids=["counters", "gauges", "histograms"]
)
def test_names_follow_the_convention_and_tell_their_unit(kind: str) -> None:
    metrics = [metric for metric in inventory() if metric.kind == kind]

    assert metrics
    assert [metric.name for metric in metrics if not is_well_named(metric)] == []


def is_well_named(metric: Metric) -> bool:
    is_named = re.fullmatch(r"reqrun(_[a-z][a-z0-9]*)+", metric.name) is not None
    has_unit = metric.kind == "counter" or metric.name.rpartition("_")[2] in UNITS
    return is_named and has_unit and not metric.name.endswith("_total")


def test_there_are_no_kinds_of_metrics_but_three() -> None:
    assert {metric.kind for metric in inventory()} == {"counter", "gauge", "histogram"}


def test_no_label_is_one_that_could_have_any_number_of_values() -> None:
    assert {label for metric in inventory() for label in metric.labels} - {*LABELS} == set()


def test_every_metric_is_told_in_words() -> None:
    assert [metric.name for metric in inventory() if len(metric.means.split()) < 2] == []


def test_what_is_made_was_made_anew_after_the_last_change() -> None:
    made = products()

    outdated = [path for path, text in made.items() if (ROOT / path).read_text() != text]
    assert outdated == [], "run `make metrics`"
