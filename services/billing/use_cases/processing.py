"""What webhooks say is taken over: later, in any order, each once, whatever becomes of the others.

A batch is one transaction: what is taken over and that it was are one fact. Where a batch fails,
each of it is tried alone, so that one that can never be done stops none but itself.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge

from libs.common import logs
from libs.common.crash_points import crash_point
from libs.common.database import Transaction
from libs.common.errors import Unavailable
from libs.common.pauses import growing
from libs.common.runtime import sleep
from services.billing.domain import entities as shapes
from services.billing.domain import notices
from services.billing.domain.entities import Kind
from services.billing.ports import Ports
from services.billing.repositories.webhooks import Claimed, Settled, WebhookRepository
from services.billing.use_cases import entities
from services.billing.use_cases.entities import Taken, Telling

log = logs.get(__name__)

WEBHOOK_FAILED: Final = "webhook_failed"
PROCESSING_FAILED: Final = "webhook_processing_failed"

SETTLED: Final = Counter(
    "reqrun_webhooks_settled_total", "Webhooks by what came of them", ["state"]
)
FAILED: Final = Counter(
    "reqrun_webhooks_failed_total", "Webhooks given up, to be looked at by somebody"
)
WAITING: Final = Gauge("reqrun_webhooks_waiting", "Webhooks that are not processed yet")
OLDEST: Final = Gauge(
    "reqrun_webhooks_oldest_age_seconds", "Age of the oldest webhook that is not processed yet"
)

BATCH: Final = 64
POLL: Final = timedelta(milliseconds=200)
LONGEST_PAUSE: Final = timedelta(seconds=10)
MEASURE_EVERY: Final = timedelta(seconds=15)
TRIES: Final = 5
FIRST_WAIT: Final = timedelta(seconds=2)  # four times as long after each try: about three minutes

_PAYMENT_FAILED: Final = "transaction.payment_failed"


async def run(ports: Ports, stop: asyncio.Event) -> None:
    """A loop: process what waits until `stop`. Any number of workers may."""
    pauses = growing(POLL, LONGEST_PAUSE)
    while not stop.is_set():
        try:
            count = await process(ports)
        except Exception as error:  # the database is away, most likely; it is tried again
            log.warning(PROCESSING_FAILED, exc_info=error)
            await sleep(stop, next(pauses))
            continue
        pauses = growing(POLL, LONGEST_PAUSE)
        if count < BATCH:
            await sleep(stop, POLL.total_seconds())


async def measure(ports: Ports, stop: asyncio.Event) -> None:
    """A loop: how far behind we are."""
    while not stop.is_set():
        try:
            async with ports.db.transaction() as tx:
                count, first = await WebhookRepository(tx).waiting()
        except Exception as error:  # the next look tells
            log.warning(PROCESSING_FAILED, exc_info=error)
        else:
            WAITING.set(count)
            OLDEST.set((ports.clock.now() - first).total_seconds() if first else 0)
        await sleep(stop, MEASURE_EVERY.total_seconds())


async def process(ports: Ports) -> int:
    """Those that wait longest, at most BATCH; how many were looked at."""
    claimed: list[Claimed] = []
    try:
        async with ports.db.transaction() as tx:
            claimed = await WebhookRepository(tx).claim(ports.clock.now(), BATCH)
            done = await _take_over(tx, ports, claimed)
            crash_point("processing.before_commit")
    except Unavailable:
        raise
    except Exception:  # noqa: BLE001  # told to the one that it belongs to
        for one in claimed:
            await _process_alone(ports, one)
    else:
        crash_point("processing.after_commit")
        _count(done)
    return len(claimed)


async def _process_alone(ports: Ports, claimed: Claimed) -> None:
    """One of a batch that failed; if it was this one, note that. Raises Unavailable."""
    try:
        async with ports.db.transaction() as tx:
            again = await WebhookRepository(tx).claim_one(claimed.event_id)
            done = await _take_over(tx, ports, [again] if again else [])
    except Unavailable:
        raise
    except Exception as error:
        is_last = claimed.tries + 1 >= TRIES
        code = getattr(error, "code", None) or type(error).__name__
        log.exception(
            WEBHOOK_FAILED, event_id=claimed.event_id, attempt=claimed.tries + 1, error_code=code
        )
        FAILED.inc(is_last)
        try_at = ports.clock.now() + FIRST_WAIT * 4**claimed.tries
        async with ports.db.transaction() as tx:
            await WebhookRepository(tx).note_failure(
                claimed, str(code), try_at=try_at, is_last=is_last
            )
    else:
        _count(done)


async def _take_over(tx: Transaction, ports: Ports, claimed: Sequence[Claimed]) -> list[Settled]:
    """All or nothing. Raises Unreadable, and what the database raises."""
    if not claimed:
        return []
    tellings = {one.event_id: _telling(one) for one in claimed}
    known = [telling for telling in tellings.values() if telling]
    taken, closed = await entities.take_over(tx, ports, known)
    by_id = dict(zip((telling.event_id for telling in known), taken, strict=True))
    done = [
        _settled(one.event_id, tellings[one.event_id], by_id.get(one.event_id)) for one in claimed
    ]
    await WebhookRepository(tx).settle(done, closed, ports.clock.now())
    return done


def _telling(claimed: Claimed) -> Telling | None:
    """What it says; None where that is nothing of ours. Raises Unreadable."""
    notice = notices.read(claimed.body)
    if notice.family not in set(Kind):
        return None
    return Telling(
        thing=shapes.read(Kind(notice.family), notice.data),
        event_id=notice.event_id,
        occurred_at=notice.occurred_at,
        has_payment_failed=notice.event_type == _PAYMENT_FAILED,
    )


def _settled(event_id: str, telling: Telling | None, taken: Taken | None) -> Settled:
    if telling is None or taken is None:
        return Settled(event_id=event_id, state="unknown")
    return Settled(
        event_id=event_id,
        state="applied" if taken.is_newest else "older",
        entity_id=telling.thing.id,
        customer_id=telling.thing.customer_id,
        account_id=taken.account_id,
    )


def _count(done: Sequence[Settled]) -> None:
    for settled in done:
        SETTLED.labels(settled.state).inc()


class Webhooks(msgspec.Struct, frozen=True):
    """How many of them are in a state."""

    state: str
    count: int


async def try_again(ports: Ports) -> Webhooks:
    """Everything that was given up is looked at once more."""
    async with ports.db.transaction() as tx:
        count = await WebhookRepository(tx).try_again(ports.clock.now())
    return Webhooks("waiting", count)


async def show(ports: Ports) -> list[Webhooks]:
    """All there are, by what became of them."""
    async with ports.db.transaction() as tx:
        by_state = await WebhookRepository(tx).by_state()
    return [Webhooks(state, count) for state, count in sorted(by_state.items())]
