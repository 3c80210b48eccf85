"""The dispatcher: the one clock of the system, which turns due rows into hints.

Any number of replicas may run; every statement skips what another has locked. Each pass commits,
then publishes: a hint that is lost is published again when its row is due again.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge, Histogram

from libs.common import logs, runtime
from libs.common.contracts.gateway import Ended
from libs.common.crash_points import crash_point
from libs.common.metrics import LATENCY_BUCKETS
from libs.ledger import expire, orphans, rehint
from libs.ledger.accept import Hint
from libs.ledger.claim import LEASE
from libs.ledger.connection import LedgerAway
from libs.ledger.hints import to_messages
from libs.ledger.release import PER_PROJECT
from services.executor.ports import DispatcherPorts
from services.executor.use_cases import measuring, projects

log = logs.get(__name__)

LEDGER_AWAY: Final = "ledger_away"
STEP_FAILED: Final = "dispatch_step_failed"
ORPHAN_CLOSED: Final = "orphan_closed"
REQUEST_EXPIRED: Final = "request_expired"

EVERY: Final = timedelta(milliseconds=200)
UPKEEP_EVERY: Final = timedelta(minutes=1)

DISPATCHED: Final = Counter("reqrun_dispatched_total", "Rows moved by the dispatcher", ["why"])
PASS_TIME: Final = Histogram(
    "reqrun_dispatch_pass_seconds", "Time of one pass", buckets=LATENCY_BUCKETS
)
LAST_PASS: Final = Gauge("reqrun_dispatch_last_pass_timestamp_seconds", "When a pass last ended")
FAILED: Final = Counter("reqrun_dispatch_steps_failed_total", "Steps ended by a fault of ours")
PURGED: Final = Counter("reqrun_purged_total", "What expired and was removed", ["what"])


class Contact:
    """How long the ledger has answered without a break, by the monotonic clock."""

    def __init__(self) -> None:
        self._since: float | None = None

    def made(self) -> None:
        """It answered."""
        if self._since is None:
            self._since = time.monotonic()

    def lost(self) -> None:
        """It did not."""
        self._since = None

    def covers_a_lease(self) -> bool:
        """Whether every living executor had the time to renew since the contact began."""
        since = self._since
        return since is not None and time.monotonic() - since > LEASE.total_seconds()


async def dispatch(ports: DispatcherPorts, came_back: asyncio.Event, stop: asyncio.Event) -> None:
    """Pass after pass: at once while there is more, else every 200 ms.

    `came_back`: set when the broker was lost and is there again, perhaps with nothing in it. Our
    own start counts as that: nobody knows what was published while no dispatcher ran.
    """
    contact = Contact()
    came_back.set()
    while not stop.is_set():
        try:
            if came_back.is_set() and ports.publisher.is_ready():
                came_back.clear()
                await _hint_all_again(ports, came_back)
            has_more = await run_pass(ports, contact)
        except LedgerAway:
            contact.lost()
            log.warning(LEDGER_AWAY)
            has_more = False
        if not has_more:
            await runtime.sleep(stop, EVERY.total_seconds())


async def _hint_all_again(ports: DispatcherPorts, came_back: asyncio.Event) -> None:
    """What fails is tried again with the next pass, and keeps none from its work.

    No sign that contact is lost: this may only have been too much at once. The pass behind it asks.
    """
    try:
        await ports.ledger.make_all_due()
    except LedgerAway:
        came_back.set()
        log.warning(LEDGER_AWAY)
    except Exception:
        came_back.set()
        FAILED.inc()
        log.exception(STEP_FAILED)


async def run_pass(ports: DispatcherPorts, contact: Contact) -> bool:
    """One pass; True when it was so full that there is more to do. Raises LedgerAway."""
    is_full = False
    with PASS_TIME.time():
        for step in (_release, _hint_again, _close_orphans, _expire):
            if step is _close_orphans and not contact.covers_a_lease():
                continue
            try:
                is_full |= await step(ports)
            except LedgerAway:
                raise
            except Exception:  # one step that fails must not keep the others from their work
                FAILED.inc()
                log.exception(STEP_FAILED)
            contact.made()
    LAST_PASS.set_to_current_time()
    return is_full


async def _release(ports: DispatcherPorts) -> bool:
    released = await ports.ledger.release()
    await _publish(ports, released, "released")
    return len(released) >= PER_PROJECT


async def _hint_again(ports: DispatcherPorts) -> bool:
    again = await ports.ledger.rehint()
    await _publish(ports, again, "hinted_again")
    return len(again) == rehint.LIMIT


async def _expire(ports: DispatcherPorts) -> bool:
    expired = await ports.ledger.expire()
    for request_id in expired:
        log.info(REQUEST_EXPIRED, request_id=request_id)
    DISPATCHED.labels("expired").inc(len(expired))
    ports.wakeups.tell([Ended(one) for one in expired])
    return len(expired) == expire.LIMIT


async def _publish(ports: DispatcherPorts, hints: Sequence[Hint], why: str) -> None:
    if hints:
        crash_point("dispatch.after_commit")
        DISPATCHED.labels(why).inc(len(hints))
        await ports.publisher.publish_many(to_messages(hints))


async def _close_orphans(ports: DispatcherPorts) -> bool:
    closed = await ports.ledger.close_orphans()
    if closed:
        crash_point("orphans.after_commit")
    for one in closed:
        log.warning(ORPHAN_CLOSED, request_id=one.request_id, state=one.state)
    DISPATCHED.labels("orphaned").inc(len(closed))
    ports.wakeups.tell([Ended(one.request_id) for one in closed if one.is_final])
    return len(closed) == orphans.LIMIT


async def keep_up(ports: DispatcherPorts, stop: asyncio.Event) -> None:
    """Every minute: partitions in time, what expired, and whether the counters are right."""
    while not stop.is_set():
        try:
            await ports.ledger.make_partitions()
            await purge(ports)
            await measuring.look_for_drift(ports)
        except LedgerAway:
            log.warning(LEDGER_AWAY)
        except Exception:  # what cannot be kept up now must not end the dispatcher
            FAILED.inc()
            log.exception(STEP_FAILED)
        await runtime.sleep(stop, UPKEEP_EVERY.total_seconds())


async def keep_forgetting(ports: DispatcherPorts, stop: asyncio.Event) -> None:
    """Every minute, beside everything else: what is left of accounts that were deleted."""
    while not stop.is_set():
        try:
            await projects.forget(ports)
        except LedgerAway:
            log.warning(LEDGER_AWAY)
        except Exception:  # it is tried again in a minute
            FAILED.inc()
            log.exception(STEP_FAILED)
        await runtime.sleep(stop, UPKEEP_EVERY.total_seconds())


async def purge(ports: DispatcherPorts) -> None:
    """Remove what has expired, once."""
    purged = await ports.ledger.purge()
    for what, count in msgspec.structs.asdict(purged).items():
        PURGED.labels(what).inc(count)
    PURGED.labels("rollups").inc(await ports.ledger.forget_old_rollups())
