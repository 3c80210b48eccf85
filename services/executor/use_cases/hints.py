"""Take hints for free places, and claim what they point at.

A hint is acknowledged once its claim has committed, whatever the claim found: from then on the
lease is what recovers, and the broker holds nothing while calls run for minutes.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec
from prometheus_client import Counter, Histogram

from libs.common import logs, tracing
from libs.common.broker.protocol import Consumer, Delivery
from libs.common.crash_points import crash_point
from libs.common.ids import is_id
from libs.common.metrics import LATENCY_BUCKETS
from libs.common.pauses import growing
from libs.ledger.claim import Claim
from libs.ledger.connection import LEDGER_TROUBLE
from libs.ledger.give_back import GiveBack
from services.executor.ports import WorkerPorts
from services.executor.use_cases import attempts
from services.executor.use_cases.running import Floor, Running

log = logs.get(__name__)

ATTEMPT_CRASHED: Final = "attempt_crashed"
CLAIM_POSTPONED: Final = "claim_postponed"
HINT_UNREADABLE: Final = "hint_unreadable"

BATCH: Final = 64
RESERVED_PART: Final = 8
_FIRST_PAUSE: Final = timedelta(milliseconds=200)
_LONGEST_PAUSE: Final = timedelta(seconds=5)
_MAX_HINT_BYTES: Final = 64
_PREFIX: Final = "rr"

QUEUE_WAIT: Final = Histogram(
    "reqrun_queue_wait_seconds", "From due to claimed", buckets=LATENCY_BUCKETS
)
HINTS: Final = Counter("reqrun_hints_total", "Hints taken", ["found"])
CRASHED: Final = Counter("reqrun_attempts_crashed_total", "Attempts ended by a fault of ours")


class Source(msgspec.Struct, frozen=True):
    """Where hints come from. `keep`: places that its hints leave free for others."""

    hints: Consumer
    keep: int


def sources(ports: WorkerPorts) -> tuple[Source, Source]:
    """Both queues. An eighth of the places is for the first slots of every project alone.

    Without that, one project with many long calls would hold every place of every executor.
    """
    return Source(ports.first_hints, 0), Source(ports.rest_hints, ports.places // RESERVED_PART)


async def take_hints(ports: WorkerPorts, floor: Floor, source: Source, stop: asyncio.Event) -> None:
    """Claim and start attempts until `stop`."""
    stopping = asyncio.create_task(_stop_receiving_at(source, floor, stop))
    try:
        while not stop.is_set():
            await _place(ports, floor, source, await source.hints.take(BATCH))
    finally:
        if not stop.is_set():  # a fault of ours: the process ends, and must not wait for a signal
            stopping.cancel()
        await asyncio.wait({stopping})


async def _place(
    ports: WorkerPorts, floor: Floor, source: Source, deliveries: Sequence[Delivery]
) -> None:
    """Handle as many as there are places, the rest when there are more; none once it is closed."""
    while deliveries:
        places = await floor.book(len(deliveries), keep=source.keep)
        if not places:
            await source.hints.give_back(deliveries)
            return
        try:
            await _handle(ports, floor, source, deliveries[:places])
        finally:
            floor.unbook(places)
        deliveries = deliveries[places:]


async def _stop_receiving_at(source: Source, floor: Floor, stop: asyncio.Event) -> None:
    await stop.wait()
    floor.close()
    await source.hints.stop_receiving()


async def _handle(
    ports: WorkerPorts, floor: Floor, source: Source, deliveries: Sequence[Delivery]
) -> None:
    """Turn hints, for which places are booked, into running attempts."""
    ids = _read(deliveries)
    asked_at, began_at = time.monotonic(), time.time()
    claims = await _claim(ports, floor, ids) if ids else []
    if claims is None:
        await source.hints.give_back(deliveries)
        return
    await source.hints.ack(deliveries)
    crash_point("hint.after_ack")
    HINTS.labels("work").inc(len(claims))
    HINTS.labels("nothing").inc(len(deliveries) - len(claims))
    for claim in claims:
        QUEUE_WAIT.observe(max(claim.waited.total_seconds(), 0))
        tracing.record("claim", claim.request_id, began_at).note(
            attempt=claim.attempt, fence=claim.fence
        )
        start(ports, floor, claim, asked_at)


def start(ports: WorkerPorts, floor: Floor, claim: Claim, leased_at: float) -> None:
    """Run a claimed attempt in a task of our own: no library's callback may cancel it."""
    task = asyncio.create_task(attempts.run(ports, floor, claim))
    floor.enter(Running(claim, task, leased_at))
    task.add_done_callback(partial(_leave, floor, claim))


def _leave(floor: Floor, claim: Claim, task: "asyncio.Task[None]") -> None:
    floor.leave(claim)
    error = None if task.cancelled() else task.exception()
    if error is not None:  # a fault of ours: the lease ends, and the dispatcher takes it from there
        CRASHED.inc()
        log.error(ATTEMPT_CRASHED, request_id=claim.request_id, exc_info=error)


def _read(deliveries: Sequence[Delivery]) -> list[str]:
    """The ids. What cannot be one names no row: it is acknowledged with the others, and counted."""
    ids = []
    for delivery in deliveries:
        request_id = delivery.body[:_MAX_HINT_BYTES].decode("ascii", "replace")
        if is_id(_PREFIX, request_id):
            ids.append(request_id)
        else:
            log.error(HINT_UNREADABLE, queue=delivery.queue, size=len(delivery.body))
            HINTS.labels("unreadable").inc()
    return ids


async def _claim(ports: WorkerPorts, floor: Floor, ids: Sequence[str]) -> list[Claim] | None:
    """Claim; while the ledger is away, hold these few hints and try again. None at a stop."""
    for pause in growing(_FIRST_PAUSE, _LONGEST_PAUSE):
        try:
            claims = await ports.ledger.claim(ids)
        except LEDGER_TROUBLE:
            log.warning(CLAIM_POSTPONED, count=len(ids))
        else:
            if floor.is_closed:
                await _return(ports, claims)
                return []
            return claims
        await asyncio.sleep(pause)
        if floor.is_closed:
            return None
    raise AssertionError("pauses never end")  # pragma: no cover


async def _return(ports: WorkerPorts, claims: Sequence[Claim]) -> None:
    if claims:
        await ports.ledger.give_back(
            [GiveBack(claim.request_id, claim.fence, timedelta()) for claim in claims]
        )
