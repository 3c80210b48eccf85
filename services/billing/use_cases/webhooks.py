"""Webhooks of Paddle's come in: is it Paddle's, is it new, is it safe; nothing else is asked here.

What they say is for `processing`. However far behind that is, the answer takes one insert.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter

from libs.common import logs
from libs.common.batching import Batch, Scales
from libs.common.crash_points import crash_point
from libs.common.database import DatabaseAway
from libs.common.errors import NotFound, Unauthenticated, Unavailable
from libs.common.settings import Secret
from services.billing.domain import notices, signatures
from services.billing.domain.notices import Unreadable
from services.billing.ports import Ports
from services.billing.repositories.webhooks import WAITING, Arrival, WebhookRepository

log = logs.get(__name__)

WEBHOOK_REFUSED: Final = "webhook_refused"
WEBHOOK_UNREADABLE: Final = "webhook_unreadable"

DEADLINE: Final = timedelta(milliseconds=900)
"""We promise an answer within a second; Paddle itself waits for five."""

_LONGEST_HEADER: Final = 1_000

_SCALES: Final[Scales[Arrival]] = Scales(lambda one: len(one.body), 4 * 2**20, 64 * 2**20)
"""What one statement stores well within DEADLINE; of all that waits, what a process can hold."""

RECEIVED: Final = Counter(
    "reqrun_webhooks_received_total",
    "Webhooks by what was done with them at the door",
    ["outcome"],
)


class WebhooksNotTaken(NotFound):
    """No secret of Paddle's is configured: whoever signs, it is nobody we know."""

    code = "webhooks_not_taken"


class Door:
    """Takes webhooks in, those of one instant with one commit."""

    def __init__(self, ports: Ports, secrets: Sequence[Secret]) -> None:
        """`secrets`: any of which may have signed; without one nothing is taken."""
        self._ports, self._secrets = ports, secrets
        batch: Batch[Arrival, bool] = Batch(self._write, name="webhooks", queue_limit=1_000)
        self._add = batch.weighing(_SCALES)

    async def take(self, signature: str | None, body: bytes) -> None:
        """Returns after COMMIT, also for one that came before. Raises Unauthenticated, Unavailable.

        What Paddle signed and we cannot read is kept as evidence: it would be no more readable the
        next sixty times.
        """
        if not self._secrets:
            raise WebhooksNotTaken("Nothing is sold here, and no webhooks are taken.")
        now = self._ports.clock.now()
        try:
            signatures.verify(signature, body, self._secrets, now)
        except Unauthenticated as refused:
            RECEIVED.labels("refused").inc()
            log.warning(WEBHOOK_REFUSED, error_code=refused.code)
            raise
        arrival = _arrival(signature or "", body, now)
        is_new = await self._add_in_time(arrival)
        RECEIVED.labels(_outcome(arrival, is_new=is_new)).inc()

    async def _add_in_time(self, arrival: Arrival) -> bool:
        """Whether it is new. Raises Unavailable, and whether it is stored is then unknown."""
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                return await self._add(arrival)
        except TimeoutError:
            RECEIVED.labels("late").inc()
            raise DatabaseAway from None
        except Unavailable:
            RECEIVED.labels("unavailable").inc()
            raise

    async def _write(self, arrivals: Sequence[Arrival]) -> list[bool]:
        async with self._ports.db.transaction() as tx:
            new = await WebhookRepository(tx).add_once(arrivals)
            crash_point("webhook.before_commit")
        crash_point("webhook.after_commit")
        # Twins in one batch are one row, and each is told the same: it is there.
        return [arrival.event_id in new for arrival in arrivals]


def _arrival(signature: str, body: bytes, now: datetime) -> Arrival:
    try:
        notice = notices.read(body)
    except Unreadable:
        log.error(WEBHOOK_UNREADABLE, bytes=len(body))  # noqa: TRY400  its text may quote the body
        named = (notices.name_unreadable(body), "", now, "unreadable")
    else:
        named = (notice.event_id, notice.event_type, notice.occurred_at, WAITING)
    event_id, event_type, occurred_at, state = named
    return Arrival(
        event_id=event_id,
        event_type=event_type,
        occurred_at=occurred_at,
        received_at=now,
        signature=signature[:_LONGEST_HEADER],
        body=body,
        state=state,
    )


def _outcome(arrival: Arrival, *, is_new: bool) -> str:
    if not is_new:
        return "repeated"
    return "taken" if arrival.state == WAITING else "unreadable"
