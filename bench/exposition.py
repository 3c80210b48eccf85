"""Batch sizes from a process's /metrics (Prometheus text format)."""

from collections.abc import Mapping
from urllib.request import urlopen

import msgspec
from prometheus_client.parser import text_string_to_metric_families

_FAMILY = "reqrun_batch_size_items"


class Batches(msgspec.Struct, frozen=True):
    """So far: how many batches, and items in them."""

    count: float = 0
    items: float = 0


def scrape(address: str) -> dict[str, Batches]:
    """Batches by name, of the process whose internal address this is."""
    with urlopen(f"{address}/metrics", timeout=5) as answer:  # noqa: S310  http, our own address
        return parse(answer.read().decode())


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


def mean_sizes(before: Mapping[str, Batches], after: Mapping[str, Batches]) -> dict[str, float]:
    """Items a batch between two looks, of batches that were run between them."""
    sizes: dict[str, float] = {}
    for name, now in after.items():
        then = before.get(name, Batches())
        if now.count > then.count:
            sizes[name] = (now.items - then.items) / (now.count - then.count)
    return sizes
