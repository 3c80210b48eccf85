"""The plots of a run: throughput beside peers, latency by rate, CPU by process."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.drawing.bars import bars, stacked
from bench.drawing.lines import lines
from bench.measured import BESIDE
from bench.plan import (
    CELERY_DRAINED,
    CELERY_ENQUEUED,
    DIRECT,
    LITELLM,
    PORTKEY,
    accepted,
    completed,
    completed_signed,
    drained,
    paced,
)
from bench.results import Results

FOLDER = Path(__file__).parents[1] / "plots"
_PERCENTS = (50.0, 99.0, 99.9)


def save(results: Results, name: str) -> None:
    """Write `<name>-throughput.svg`, `-latency.svg`, `-latency-slow.svg` and `-cpu.svg`."""
    FOLDER.mkdir(exist_ok=True)
    slow = f"{results.slow_seconds * 1000:g} ms"
    drawn = {
        "throughput": bars("Requests a second", "/s", _throughput(results)),
        "latency": _latency(results, results.plan.rates, "a provider that answers at once"),
        "latency-slow": _latency(
            results, results.plan.slow_rates, f"a provider that takes {slow}", is_slow=True
        ),
        "cpu": stacked("CPU of a request, all processes and servers", " ms", _cpu(results)),
    }
    for kind, picture in drawn.items():
        (FOLDER / f"{name}-{kind}.svg").write_text(picture)


def _throughput(results: Results) -> list[Mapping[str, float]]:
    callers = results.plan.waiting_callers[-1]
    groups = (
        (completed(callers), completed(callers, LITELLM), completed(callers, PORTKEY)),
        (accepted(has_workers=False), CELERY_ENQUEUED),
        (drained(results.plan.backlog), CELERY_DRAINED),
    )
    return [
        {name: results.per_second(name) for name in group if results.all_of(name)}
        for group in groups
    ]


def _latency(
    results: Results, rates: Sequence[float], provider: str, *, is_slow: bool = False
) -> str:
    names = {
        "": [paced(rate, is_slow=is_slow) for rate in rates],
        "provider alone ": [paced(rate, DIRECT, is_slow=is_slow) for rate in rates],
    }
    series = {
        f"{who}p{percent:g}": [results.whole_latency(name, percent) for name in some]
        for who, some in names.items()
        for percent in _PERCENTS
    }
    return lines(
        f"Latency of waiting calls, {provider}", " ms", [f"{rate:g}/s" for rate in rates], series
    )


def _cpu(results: Results) -> dict[str, Mapping[str, float]]:
    plan = results.plan
    callers = plan.waiting_callers[-1]
    names = (
        accepted(has_workers=False),
        drained(plan.backlog),
        completed(callers),
        completed_signed(callers),
        *(paced(rate) for rate in reversed(plan.rates)),
    )
    return {
        name: {part: ms for part, ms in results.cpu(name).items() if part not in BESIDE}
        for name in names
        if results.all_of(name)
    }
