"""What a run must reach, and what is wished for (the design's "Figures to reach")."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import msgspec

from bench.histogram import percentile
from bench.measuring import Measurement
from bench.plan import (
    CELERY,
    CELERY_DRAINED,
    CELERY_ENQUEUED,
    LITELLM,
    PORTKEY,
    accepted,
    completed,
    completed_signed,
    completed_slow,
    drained,
    paced,
)
from bench.results import Results

_RATE: Final = 200
_ADDED_MS: Final = ((50, 8, 5), (99, 25, 15))
"""Percentile, gate and target."""
_PORTKEY_MS: Final = {50: 1.8, 99: 10.7}
"""What Portkey took at that rate on the machine on which these bounds were set."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One figure, the bound that fails a run, and the better one that is wished for."""

    name: str
    value: float
    bound: float
    target: float | None = None
    unit: str = ""
    is_minimum: bool = False

    @property
    def is_passed(self) -> bool:
        """NaN passes nothing."""
        return self._reaches(self.bound)

    @property
    def is_on_target(self) -> bool:
        """As well as wished for; never where nothing is."""
        return self.target is not None and self._reaches(self.target)

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound if self.is_minimum else self.value <= bound


def judge(results: Results) -> list[Gate]:
    """All gates that this run's plan has figures for, or should have."""
    return [
        *_truth(results),
        *_throughput(results),
        *_cpu(results),
        *_latency(results),
        *_latency_beside_a_proxy(results),
        *_against_peers(results),
    ]


def _truth(results: Results) -> Iterator[Gate]:
    """A fast wrong answer is worth nothing."""
    account = results.account
    yield Gate(name="wrong answers", value=sum(results.failures().values()), bound=0)
    lost = account.accepted - account.completed
    yield Gate(name="accepted and not completed", value=lost, bound=0)
    uncounted = abs(account.completed - account.billed)
    yield Gate(name="completed and not counted once by billing", value=uncounted, bound=0)
    yield Gate(name="attempts beyond the first", value=account.repeated, bound=0)
    surplus = abs(results.provider_calls - account.completed)
    yield Gate(name="provider calls that are not a completion", value=surplus, bound=0)


def _throughput(results: Results) -> Iterator[Gate]:
    for name, bound in (
        (accepted(has_workers=False), 1_500),
        (completed(results.plan.waiting_callers[-1]), 700),
    ):
        rate = results.per_second(name)
        yield Gate(name=name, value=rate, bound=bound, unit="/s", is_minimum=True)


def _cpu(results: Results) -> Iterator[Gate]:
    plan = results.plan
    waiting = completed(plan.waiting_callers[-1])
    yield Gate(
        name="CPU per completed request at saturation",
        value=results.middle(waiting, _system_cpu),
        bound=1.8,
        target=1.2,
        unit="ms",
    )
    signed = completed_signed(plan.waiting_callers[-1])
    yield Gate(
        name="CPU of signed calls with keys, of plain calls",
        value=results.ratio(signed, waiting, _system_cpu),
        bound=1.25,
    )
    yield Gate(
        name=f"executor's CPU a call, {plan.slow_callers[0]} under way",
        value=results.middle(completed_slow(plan.slow_callers[0]), _executor_cpu),
        bound=0.7,
        target=0.35,
        unit="ms",
    )


def _latency(results: Results) -> Iterator[Gate]:
    """Over the provider that answers at once."""
    if _RATE not in results.plan.rates:
        return
    for percent, bound, target in _ADDED_MS:
        yield Gate(
            name=f"added latency at {_RATE}/s, p{percent}",
            value=results.added(_RATE, percent),
            bound=bound,
            target=target,
            unit="ms",
        )


def _latency_beside_a_proxy(results: Results) -> Iterator[Gate]:
    """The bounds of `_latency`, whatever machine this is (decision 0033)."""
    if PORTKEY not in results.peers or _RATE not in results.plan.peer_rates:
        return
    for percent, bound, target in _ADDED_MS:
        there = _PORTKEY_MS[percent]
        latency = partial(_latency_of, percent=percent)
        yield Gate(
            name=f"latency at {_RATE}/s, p{percent} ÷ {PORTKEY}'s",
            value=results.ratio(paced(_RATE), paced(_RATE, PORTKEY), latency),
            bound=round(bound / there, 1),
            target=round(target / there, 1),
        )


def _against_peers(results: Results) -> Iterator[Gate]:
    """A peer that was wanted and is absent leaves NaN, which passes nothing."""
    plan = results.plan
    waiting, callers = completed(plan.waiting_callers[-1]), plan.waiting_callers[-1]
    accepting, draining = accepted(has_workers=False), drained(plan.backlog)
    for peer, ours, theirs, bound, target in (
        (LITELLM, waiting, completed(callers, LITELLM), 8, 12),
        (PORTKEY, waiting, completed(callers, PORTKEY), 0.7, 1.0),
        (CELERY, accepting, CELERY_ENQUEUED, 2, 3),
        (CELERY, draining, CELERY_DRAINED, 2, 3),
    ):
        if peer in results.peers:
            yield Gate(
                name=f"{ours} ÷ {theirs}",
                value=results.ratio(ours, theirs, _per_second),
                bound=bound,
                target=target,
                is_minimum=True,
            )


def _latency_of(made: Measurement, percent: float) -> float:
    return percentile(made.latencies, percent)


def _per_second(made: Measurement) -> float:
    return made.per_second


def _system_cpu(made: Measurement) -> float:
    return made.system_cpu_ms


def _executor_cpu(made: Measurement) -> float:
    return made.cpu_ms["executor"]
