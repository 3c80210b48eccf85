"""Whatever is on no other dashboard, drawn by its kind: a new metric is seen all the same."""

from collections.abc import Iterable
from typing import Final

from deploy.grafana.boards.asking import EVERY, gauge, quantiles, rate
from deploy.grafana.inventory import Metric
from deploy.grafana.panels import Board, Panel, Query
from deploy.grafana.rules import names_in

_LONGEST_TITLE: Final = 60


def rest(boards: Iterable[Board], metrics: Iterable[Metric]) -> Board:
    """A board of those metrics that `boards` leave out."""
    shown = {
        name
        for board in boards
        for panels in board.rows.values()
        for panel in panels
        for query in panel.queries
        for name in names_in(query.expression)
    }
    left = [metric for metric in metrics if not shown & {*metric.samples}]
    return Board(name="rest", title="the rest", rows={"Metrics": tuple(map(_panel, left))})


def _panel(metric: Metric) -> Panel:
    title = metric.name if len(metric.means) > _LONGEST_TITLE else metric.means
    if metric.kind == "histogram" and metric.name.endswith("_seconds"):
        return quantiles(title, metric.name, metric.name)
    by = ", ".join(metric.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels) or "all"
    if metric.kind == "gauge":
        return gauge(title, f"max by ({by}) ({metric.name})", legend=legend)
    if metric.kind == "histogram":
        return gauge(title, f"rate({metric.name}_sum[{EVERY}])", legend=legend)
    query = Query(rate(f"{metric.name}_total", by), legend)
    return Panel(title=title, unit="ops", queries=(query,), note=metric.name)
