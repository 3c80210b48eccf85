"""How panels ask: rates, quantiles, gauges, and what must be 0."""

from typing import Final

from deploy.grafana.panels import Panel, Query

EVERY: Final = "$__rate_interval"


def rate(metric: str, by: str = "") -> str:
    """Of a counter, a second; `by`: labels that keep their lines apart."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[{EVERY}]))"


def rates(title: str, metric: str, by: str, note: str = "") -> Panel:
    """A counter's rate, a line a label's value."""
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return Panel(title=title, unit="ops", queries=(Query(rate(metric, by), legend),), note=note)


def quantiles(title: str, metric: str, note: str = "") -> Panel:
    """Median, 90th and 99th percentile of a histogram of seconds."""
    bucket = f"sum by (le) (rate({metric}_bucket[{EVERY}]))"
    queries = tuple(
        Query(f"histogram_quantile({quantile}, {bucket})", name)
        for quantile, name in ((0.5, "half"), (0.9, "9 in 10"), (0.99, "99 in 100"))
    )
    return Panel(title=title, unit="s", queries=queries, note=note)


def gauge(title: str, expression: str, unit: str = "short", legend: str = "") -> Panel:
    """What is there now."""
    return Panel(title=title, unit=unit, queries=(Query(expression, legend),))


def zero(title: str, expression: str, note: str = "", legend: str = "") -> Panel:
    """A number that is wrong when it is not 0."""
    return Panel(
        title=title, queries=(Query(expression, legend or title),), note=note,
        must_be_zero=True, width=6, height=4,
    )  # fmt: skip


def grown(metric: str) -> str:
    """What a counter counted in the last hour."""
    return f"sum(increase({metric}[1h]))"
