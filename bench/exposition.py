"""Batch sizes and what was purged, from a process's /metrics (Prometheus text format)."""

from collections.abc import Mapping
from urllib.request import urlopen

import msgspec
from prometheus_client.parser import text_string_to_metric_families

_FAMILY = "reqrun_batch_size_items"
_PURGED = "reqrun_purged"


class Batches(msgspec.Struct, frozen=True):
    """So far: how many batches, and items in them."""

    count: float = 0
    items: float = 0


def scrape(address: str) -> dict[str, Batches]:
    """Batches by name, of the process whose internal address this is."""
    return parse(_read(address))


def purged(address: str) -> dict[str, float]:
    """How much of what has expired was removed so far, by kind; of the dispatcher's address."""
    return parse_purged(_read(address))


def parse(text: str) -> dict[str, Batches]:
    """Batches by name."""
    counts: dict[str, float] = {}
    items: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        if family.name != _FAMILY:
            continue
        for sample in family.samples:
            if sample.name == f"{_FAMILY}_count":
                counts[sample.labels["batch"]] = sample.value
            elif sample.name == f"{_FAMILY}_sum":
                items[sample.labels["batch"]] = sample.value
    return {name: Batches(count, items[name]) for name, count in counts.items()}


def parse_purged(text: str) -> dict[str, float]:
    """Rows or tables by kind."""
    return {
        sample.labels["what"]: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == _PURGED
        for sample in family.samples
        if sample.name == f"{_PURGED}_total"
    }


def mean_sizes(before: Mapping[str, Batches], after: Mapping[str, Batches]) -> dict[str, float]:
    """Items a batch between two looks, of batches that were run between them."""
    sizes: dict[str, float] = {}
    for name, now in after.items():
        then = before.get(name, Batches())
        if now.count > then.count:
            sizes[name] = (now.items - then.items) / (now.count - then.count)
    return sizes


def _read(address: str) -> str:
    with urlopen(f"{address}/metrics", timeout=5) as answer:  # noqa: S310  http, our own address
        text: str = answer.read().decode()
    return text
