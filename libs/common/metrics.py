"""Metrics: Prometheus, on the process's internal port at `/metrics`.

Counters and histograms stand beside the code that moves them. Names follow the convention of
prometheus.io/docs/practices/naming: unit in the name, `_total` on counters. A label has a bounded
set of values: never an id, a model or an address.
"""

from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

# By default every counter comes with a second series that says when the process began.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Seconds. From a cached answer to the longest provider call.
LATENCY_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600,
)  # fmt: skip
# Seconds. From a quick answer to the longest deadline, a week.
LIFE_BUCKETS: Final = (
    0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 21_600, 86_400, 604_800,
)  # fmt: skip
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def render() -> bytes:
    """Everything the process has counted, in the Prometheus text format."""
    return generate_latest(REGISTRY)
