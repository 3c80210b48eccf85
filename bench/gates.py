"""What a run must reach, and what is wished for (the design's "Figures to reach")."""

from collections.abc import Iterator

import msgspec

from bench.results import Results
from bench.rounds import accepted, completed, completed_signed


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One figure and its bound. Only an `is_binding` one fails a run."""

    name: str
    value: float
    bound: float
    unit: str = ""
    is_minimum: bool = False
    is_binding: bool = True

    @property
    def is_passed(self) -> bool:
        """NaN passes nothing."""
        return self.value >= self.bound if self.is_minimum else self.value <= self.bound


def judge(results: Results) -> list[Gate]:
    """All gates for which this run has figures."""
    return [*_truth(results), *_throughput(results), *_latency(results)]


def _truth(results: Results) -> Iterator[Gate]:
    """A fast wrong answer is worth nothing."""
    account = results.account
    yield Gate(name="wrong answers", value=sum(results.failures().values()), bound=0)
    lost = account.accepted - account.completed
    yield Gate(name="accepted and not completed", value=lost, bound=0)
    uncounted = abs(account.completed - account.billed)
    yield Gate(name="completed and not counted once by billing", value=uncounted, bound=0)
    yield Gate(name="attempts beyond the first", value=account.repeated, bound=0)
    if results.provider_calls is not None:
        surplus = abs(results.provider_calls - account.completed)
        yield Gate(name="provider calls that are not a completion", value=surplus, bound=0)


def _throughput(results: Results) -> Iterator[Gate]:
    plan = results.plan
    callers = plan.callers[0]
    for has_workers in (False, True):
        name = accepted(callers, has_workers=has_workers)
        rate = results.middle(name, lambda made: made.per_second)
        # Accepting alone is the gate; beside executors it shares the machine with them.
        is_binding = not has_workers
        yield _at_least(name, rate, 1_500, is_binding=is_binding)
    name = completed(plan.waiting_callers)
    yield _at_least(name, results.middle(name, lambda made: made.per_second), 700)
    signed = completed_signed(plan.waiting_callers)
    yield Gate(
        name="CPU of signed calls with keys, of plain calls",
        value=results.ratio(signed, name, lambda made: made.system_cpu_ms),
        bound=1.25,
    )
    cpu = results.middle(name, lambda made: made.system_cpu_ms)
    yield Gate(
        name="CPU per completed request at saturation",
        value=cpu,
        bound=1.8,
        unit="ms",
        is_binding=False,
    )


def _latency(results: Results) -> Iterator[Gate]:
    """Bounds are for a provider that answers at once; a slow one is subtracted all the same."""
    bounds = ((100, 50, 15, True), (200, 50, 8, False), (200, 99, 25, False))
    for rate, percent, bound, is_binding in bounds:
        if rate in results.plan.rates:
            yield Gate(
                name=f"added latency at {rate}/s, p{percent}",
                value=results.added(rate, percent),
                bound=bound,
                unit="ms",
                is_binding=is_binding,
            )


def _at_least(name: str, value: float, bound: float, *, is_binding: bool = True) -> Gate:
    return Gate(
        name=name, value=value, bound=bound, unit="/s", is_minimum=True, is_binding=is_binding
    )
