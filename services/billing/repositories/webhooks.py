"""The inbox: webhooks as they came, each once, and what became of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, LargeBinary, String, bindparam, func, or_, select, text, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.models import Webhook
from services.billing.models.base import MOMENT
from services.billing.models.paddle import UNREAD

WAITING: Final = "waiting"


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook, in the fields and order of its row. `state`: waiting, or unreadable."""

    event_id: str
    event_type: str
    occurred_at: datetime
    received_at: datetime
    signature: str
    body: bytes
    state: str


class Claimed(msgspec.Struct, frozen=True):
    """One to be looked at. `tries`: how often it was in vain."""

    event_id: str
    body: bytes
    tries: int


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one, and whom it was about."""

    event_id: str
    state: str
    entity_id: str | None = None
    customer_id: str | None = None
    account_id: str | None = None


_TEXT: Final = ARRAY(String)
_ADD: Final = text(
    "INSERT INTO webhooks"
    " (event_id, event_type, occurred_at, received_at, signature, body, state, try_at)"
    " SELECT a, b, c, d, e, f, g, d FROM unnest(:event_id, :event_type, :occurred_at,"
    " :received_at, :signature, :body, :state) AS t(a, b, c, d, e, f, g)"
    " ORDER BY a ON CONFLICT DO NOTHING RETURNING event_id"
).bindparams(
    *(bindparam(name, type_=_TEXT) for name in ("event_id", "event_type", "signature", "state")),
    *(bindparam(name, type_=ARRAY(MOMENT)) for name in ("occurred_at", "received_at")),
    bindparam("body", type_=ARRAY(LargeBinary)),
)
_SETTLE: Final = text(
    "UPDATE webhooks w SET state = t.b, entity_id = t.c, customer_id = t.d, account_id = t.e,"
    " error_code = NULL, settled_at = :at,"
    " body = CASE WHEN t.e = ANY(:closed) THEN NULL ELSE w.body END"
    " FROM unnest(:event_id, :state, :entity_id, :customer_id, :account_id) AS t(a, b, c, d, e)"
    " WHERE w.event_id = t.a"
).bindparams(
    *(
        bindparam(name, type_=_TEXT)
        for name in ("event_id", "state", "entity_id", "customer_id", "account_id", "closed")
    ),
    bindparam("at", type_=MOMENT),
)


_QUOTING: Final = text(
    "EXISTS (SELECT FROM unnest(:names) name"
    " WHERE position(convert_to(name, 'UTF8') IN webhooks.body) > 0)"
).bindparams(bindparam("names", type_=_TEXT))


class WebhookRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add_once(self, batch: Sequence[Arrival]) -> set[str]:
        """The event ids that are new; the others came before, and stay as they are."""
        arrays: dict[str, list[Any]] = {
            name: [getattr(arrival, name) for arrival in batch]
            for name in Arrival.__struct_fields__
        }
        return set((await self._tx.execute(_ADD, arrays)).scalars())

    async def claim(self, now: datetime, limit: int) -> list[Claimed]:
        """The first ones that wait, until this transaction ends; nobody else gets them."""
        statement = (
            select(Webhook.event_id, Webhook.body, Webhook.tries)
            .where(Webhook.state == WAITING, Webhook.try_at <= now)
            .order_by(Webhook.try_at, Webhook.number)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = await self._tx.execute(statement)
        return [Claimed(event_id, body or b"", tries) for event_id, body, tries in rows]

    async def claim_one(self, event_id: str) -> Claimed | None:
        """That one, if it still waits and nobody has it."""
        statement = (
            select(Webhook.event_id, Webhook.body, Webhook.tries)
            .where(Webhook.event_id == event_id, Webhook.state == WAITING)
            .with_for_update(skip_locked=True)
        )
        row = (await self._tx.execute(statement)).first()
        return Claimed(row.event_id, row.body or b"", row.tries) if row else None

    async def settle(self, done: Sequence[Settled], closed: set[str], at: datetime) -> None:
        """Write what became of them; of `closed` accounts nothing but that stays."""
        arrays: dict[str, Any] = {
            name: [getattr(settled, name) for settled in done] for name in Settled.__struct_fields__
        }
        await self._tx.execute(_SETTLE, arrays | {"closed": sorted(closed), "at": at})

    async def note_failure(
        self, claimed: Claimed, code: str, *, try_at: datetime, is_last: bool
    ) -> None:
        """One try more was in vain: again at `try_at`, or never, until an operator says so."""
        await self._tx.execute(
            update(Webhook)
            .where(Webhook.event_id == claimed.event_id, Webhook.state == WAITING)
            .values(
                tries=claimed.tries + 1,
                try_at=try_at,
                error_code=code[:60],
                state="failed" if is_last else WAITING,
            )
            .execution_options(synchronize_session=False)
        )

    async def try_again(self, now: datetime) -> int:
        """Everything that was given up waits anew; how many."""
        done = await self._tx.execute(
            update(Webhook)
            .where(Webhook.state == "failed")
            .values(state=WAITING, tries=0, try_at=now, error_code=None)
            .execution_options(synchronize_session=False)
        )
        return _count(done)

    async def by_state(self) -> dict[str, int]:
        """How many there are in each state."""
        statement = select(Webhook.state, func.count()).group_by(Webhook.state)
        return dict((await self._tx.execute(statement)).all())

    async def waiting(self) -> tuple[int, datetime | None]:
        """How many wait, and when the first of them came."""
        statement = select(func.count(), func.min(Webhook.received_at)).where(
            Webhook.state == WAITING
        )
        count, first = (await self._tx.execute(statement)).one()
        return count, first

    async def strip(self, account_id: str, customer_ids: Sequence[str]) -> None:
        """Nothing of what they said stays: of the account's, and of what nobody could read.

        What still waits is stripped when it is settled.
        """
        ours = or_(Webhook.account_id == account_id, Webhook.customer_id.in_(customer_ids))
        quoting = _QUOTING.bindparams(names=[account_id, *customer_ids])
        # Two statements, each with an index: together they would read the whole table.
        for which in (ours & (Webhook.state != WAITING), text(UNREAD) & quoting):
            await self._tx.execute(
                update(Webhook)
                .where(Webhook.body.is_not(None), which)
                .values(body=None)
                .execution_options(synchronize_session=False)
            )

    async def count_old(self, before: datetime) -> int:
        """How many came before."""
        old = select(func.count()).where(Webhook.received_at < before)
        return (await self._tx.scalars(old)).one()

    async def drop_old(self, before: datetime, limit: int) -> int:
        """Remove at most `limit` that came before; how many."""
        dropped: int = (
            await self._tx.scalars(select(func.drop_old_webhooks_v1(before, limit)))
        ).one()
        return dropped


def _count(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
