"""Every metric there is, asked of the processes themselves."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import msgspec

from deploy.grafana.rules import Alert, names_in

SERVICES: Final = ("gateway", "executor", "accounts", "billing")
LIBRARYS: Final = (
    "process_open_fds",
    "process_max_fds",
    "process_resident_memory_bytes",
    "process_cpu_seconds",
)
"""Of those that prometheus_client adds by itself, the ones that dashboards and rules use."""

_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
_ASK: Final = "import deploy.grafana.registry as r; r.tell({!r})"


class Metric(msgspec.Struct, frozen=True, order=True, array_like=True):
    """`name`: as the code gives it, so without the suffixes of its samples."""

    name: str
    kind: str
    labels: tuple[str, ...]
    means: str

    @property
    def samples(self) -> tuple[str, ...]:
        """What it is called where it is asked for."""
        suffixes = _SUFFIXES.get(self.kind, ("",))
        return tuple(f"{self.name}{suffix}" for suffix in suffixes)


Inventory = dict[Metric, tuple[str, ...]]
"""Which services expose it."""


@cache
def inventory() -> Inventory:
    """Ask a process of each service, which imports all that the service does."""
    found: dict[Metric, tuple[str, ...]] = {}
    with ThreadPoolExecutor() as pool:
        for service, metrics in zip(SERVICES, pool.map(_of, SERVICES), strict=True):
            found |= {metric: (*found.get(metric, ()), service) for metric in metrics}
    return dict(sorted(found.items()))


def _of(service: str) -> list[Metric]:
    asked = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", _ASK.format(service)], check=True, stdout=subprocess.PIPE
    )
    return msgspec.json.decode(asked.stdout, type=list[Metric])


_HEAD: Final = """\
# Metrics

Every process serves them at `/metrics` of its internal port, in Prometheus's text format. This page
is made from what the processes expose (`make metrics`); the words are those of the code. `executor`
means its worker and the dispatcher: both show all of these, and zero where the other one counts.

- Units are in the names. A label has few values, known beforehand: no id, no model, no address.
- Gauges of the whole ledger (`reqrun_open_requests` and the like) are measured by every dispatcher:
  take their `max`.
- Buckets of histograms are in seconds (0.001 to 600; `reqrun_request_seconds` 0.1 to a week).
- Alerts and what to do: [the runbook](runbook.md). Dashboards to be imported into Grafana:
  `deploy/grafana/dashboards`.

| asked for | is |
|---|---|
| accept latency, queue wait, provider time | `reqrun_gateway_accept_seconds`, \
`reqrun_queue_wait_seconds`, `reqrun_provider_call_seconds` |
| attempts by outcome | `reqrun_attempts_total` |
| pending by age, oldest due row | `reqrun_open_requests`, `reqrun_oldest_due_seconds` |
| dispatcher lag | `reqrun_dispatch_last_pass_timestamp_seconds`, `reqrun_dispatch_pass_seconds` |
| lease losses, fenced writes | `reqrun_leases_lost_total`, `reqrun_late_answers_dropped_total` |
| drift, batch sizes | `reqrun_counter_drift_rows`, `reqrun_batch_size_items` |

| metric | kind | labels | of | means | alerts |
|---|---|---|---|---|---|
"""


def table(metrics: Inventory, alerts: Sequence[Alert]) -> str:
    """docs/metrics.md."""
    return _HEAD + "".join(_row(metric, of, alerts) for metric, of in metrics.items())


def _row(metric: Metric, of: Sequence[str], alerts: Sequence[Alert]) -> str:
    who = "all" if len(of) == len(SERVICES) else ", ".join(of)
    told = metric.samples if metric.kind == "counter" else (metric.name,)
    pages = [alert.name for alert in alerts if names_in(alert.expression) & {*metric.samples}]
    cells = [
        f"`{told[0]}`",
        metric.kind,
        ", ".join(f"`{label}`" for label in metric.labels),
        who,
        metric.means.replace("|", "\\|"),
        ", ".join(f"[{name}](runbook.md#{name.lower()})" for name in pages),
    ]
    return f"| {' | '.join(cells)} |\n"
