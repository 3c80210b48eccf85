"""What a process opens before anything else: its logs, its name among metrics, its traces."""

from typing import Annotated, Final, Protocol

import msgspec
from prometheus_client import Gauge

from libs.common import logs, tracing

PROCESS: Final = Gauge("reqrun_process_info", "1, and which process this is", ["process"])


Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A share, from none to all."""


class Telling(Protocol):
    """The settings that this takes, of every process.

    `traces_url`: of an OTLP/HTTP collector, with its path; empty for none. `traces_ratio`: of
    traces that are kept, 0 to 1.
    """

    @property
    def log_level(self) -> str:
        """The least that is logged."""
        ...

    @property
    def traces_url(self) -> str:
        """Where spans go."""
        ...

    @property
    def traces_ratio(self) -> float:
        """How many of them."""
        ...


def start(service: str, process: str, settings: Telling) -> None:
    """`service`: in log lines. `process`: as deploy/ calls it, `accounts-worker`."""
    logs.configure(service, settings.log_level)
    PROCESS.labels(process).set(1)
    tracing.start(process, settings.traces_url, settings.traces_ratio)
