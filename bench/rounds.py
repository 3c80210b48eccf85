"""One round: every measurement once. Rounds interleave, so a disturbance hits one of many."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import msgspec

from bench.generator.job import Accepted, Callers, Exactly, Job, Pace, Target
from bench.measuring import Measurement, measure, measure_drain
from bench.provider.completion import COMPLETION, PATH, request_body
from bench.system import System

Note = Callable[[str, Measurement], None]
"""Is told of each measurement when it is made."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured in a round. Durations in seconds, rates per second."""

    callers: tuple[int, ...] = (64, 128)
    waiting_callers: int = 128
    backlog: int = 5_000
    rates: tuple[float, ...] = (50, 100, 200, 400)
    seconds: float = 4
    paced_seconds: float = 5
    warm_up: float = 1
    idle_seconds: float = 3


QUICK = Plan(callers=(64,), backlog=2_000, rates=(100,), seconds=2, paced_seconds=4, warm_up=0.5)


def accepted(callers: int, *, has_workers: bool) -> str:
    """The name of a measurement of accepting."""
    return f"accepted, {callers} callers, executors {'on' if has_workers else 'off'}"


def drained(callers: int) -> str:
    """The name of the drain of what so many callers left."""
    return f"drained after {callers} callers"


def completed(callers: int) -> str:
    """The name of a measurement of wait mode."""
    return f"completed, {callers} callers waiting"


def completed_signed(callers: int) -> str:
    """As `completed`, each request signed and with an idempotency key of its own."""
    return f"{completed(callers)}, signed, with keys"


def paced(rate: float, *, is_direct: bool) -> str:
    """The name of a measurement at a fixed rate."""
    return f"{'direct' if is_direct else 'ReqRun'} at {rate:g}/s"


def run(system: System, plan: Plan, number: int, note: Note) -> dict[str, Measurement]:
    """All measurements of round `number`, by name."""
    made: dict[str, Measurement] = {}
    for name, measurement in _measurements(system, plan, number):
        note(name, measurement)
        made[name] = measurement
    return made


def _measurements(system: System, plan: Plan, number: int) -> Iterator[tuple[str, Measurement]]:
    yield from _backlogs(system, plan)
    yield from _saturated(system, plan)
    for rate in plan.rates:
        yield from _paced(system, plan, rate, is_direct_first=number % 2 == 0)


def _backlogs(system: System, plan: Plan) -> Iterator[tuple[str, Measurement]]:
    """Without executors: accept a backlog; then with them: drain it."""
    for callers in plan.callers:
        system.wait_until_settled()
        system.stop_workers()
        load = Callers(callers, count=plan.backlog)
        job = Job(target=_ours(system, is_waiting=False), load=load)
        yield accepted(callers, has_workers=False), measure(system, job)
        yield drained(callers), measure_drain(system, plan.backlog)


def _saturated(system: System, plan: Plan) -> Iterator[tuple[str, Measurement]]:
    """As much as goes: accepting while executors work, then waiting for the answers."""
    for callers in plan.callers:
        load = Callers(callers, seconds=plan.seconds, warm_up=plan.warm_up)
        job = Job(target=_ours(system, is_waiting=False), load=load)
        system.wait_until_settled()
        yield accepted(callers, has_workers=True), measure(system, job)
    load = Callers(plan.waiting_callers, seconds=plan.seconds, warm_up=plan.warm_up)
    job = Job(target=_ours(system, is_waiting=True), load=load)
    yield from _gated(system, plan, job)


def _gated(system: System, plan: Plan, job: Job) -> Iterator[tuple[str, Measurement]]:
    """The same load with and without a signature and an idempotency key a request."""
    signed = msgspec.structs.replace(job, target=_signed(system, job.target))
    for one, name in ((job, completed), (signed, completed_signed)):
        system.wait_until_settled()
        yield name(plan.waiting_callers), measure(system, one)


def _paced(
    system: System, plan: Plan, rate: float, *, is_direct_first: bool
) -> Iterator[tuple[str, Measurement]]:
    """The provider alone and through us, one right after the other."""
    load = Pace(rate, seconds=plan.paced_seconds, warm_up=plan.warm_up)
    for is_direct in (is_direct_first, not is_direct_first):
        system.wait_until_settled()
        target = _direct(system) if is_direct else _ours(system, is_waiting=True)
        with system.calling_directly() if is_direct else nullcontext():
            measurement = measure(system, Job(target=target, load=load))
        yield paced(rate, is_direct=is_direct), measurement


def _ours(system: System, *, is_waiting: bool) -> Target:
    return Target(
        port=system.port,
        path=PATH,
        body=request_body(is_waiting=is_waiting),
        headers={"Authorization": f"Bearer {system.key}"},
        expected=Exactly(COMPLETION) if is_waiting else Accepted(),
    )


def _signed(system: System, target: Target) -> Target:
    headers = {"Authorization": f"Bearer {system.signed.key}"}
    return msgspec.structs.replace(
        target, headers=headers, signing_secret=system.signed.signing_secret
    )


def _direct(system: System) -> Target:
    return Target(
        port=system.provider_port,
        path=PATH,
        body=request_body(is_waiting=None),
        expected=Exactly(COMPLETION),
    )
