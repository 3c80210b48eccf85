"""Inside a process of a service: which metrics it registers. Imports everything of the service."""

import importlib
import sys

import msgspec
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase


def tell(service: str) -> None:
    """Write the service's metrics to standard output, as JSON."""
    importlib.import_module(f"services.{service}.__main__")
    # The library has no public list of what is registered, labels included.
    collectors = {*REGISTRY._collector_to_names}  # noqa: SLF001  # as above
    sys.stdout.buffer.write(
        msgspec.json.encode(
            [
                (metric._name, metric._type, metric._labelnames, metric._documentation)  # noqa: SLF001  # as above
                for metric in collectors
                if isinstance(metric, MetricWrapperBase)
            ]
        )
    )
