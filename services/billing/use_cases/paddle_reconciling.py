"""Compare what we know with what Paddle says, and take over what webhooks did not bring.

Subscriptions all of them; transactions of the last days; adjustments. A difference is looked at
once more before it is one: a webhook may be on its way. It is repaired as a webhook would have
done.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from prometheus_client import Counter

from libs.common.ids import new_id
from services.billing.domain import entities as shapes
from services.billing.domain.entities import Kind, Thing
from services.billing.domain.notices import Unreadable
from services.billing.domain.paddle import Entity, Family
from services.billing.ports import Paddle, Ports
from services.billing.repositories.kept import Kept, KeptRepository
from services.billing.use_cases import entities
from services.billing.use_cases.buying import seller
from services.billing.use_cases.entities import Telling

REPAIRED: Final = Counter("reqrun_paddle_repaired_total", "Things that no webhook had brought")

DAYS: Final = timedelta(days=14)
"""Paddle tries to deliver a webhook for three days; an outage of ours may have been longer."""

BATCH: Final = 100
_FAMILIES: Final[tuple[Family, ...]] = ("subscription", "transaction", "adjustment")
_NOTHING_YET: Final = frozenset({"draft", "ready", "canceled"})
_MISSING: Final = "missing"
_UNREADABLE: Final = "unreadable"
_STRANGE: Final = "unknown to Paddle"


class PaddleDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was otherwise here. `what`: names of fields, never what is in them."""

    family: str
    id: str
    what: str
    is_repaired: bool


class PaddleReconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """How many things Paddle told of. `left`: drifts that are still there."""

    subscriptions: int
    transactions: int
    adjustments: int
    left: int
    drifts: list[PaddleDrift]


async def reconcile(ports: Ports, *, is_repairing: bool) -> PaddleReconciliation:
    """Harmless again. Raises NothingSold, PaddleAway, PaddleRefused, DatabaseAway."""
    comparison = _Comparison(ports, seller(ports), is_repairing=is_repairing)
    counts = [await comparison.compare(family) for family in _FAMILIES]
    await comparison.find_strange()
    drifts = comparison.drifts
    return PaddleReconciliation(
        subscriptions=counts[0],
        transactions=counts[1],
        adjustments=counts[2],
        left=sum(not drift.is_repaired for drift in drifts),
        drifts=drifts,
    )


class _Comparison:
    def __init__(self, ports: Ports, paddle: Paddle, *, is_repairing: bool) -> None:
        self._ports, self._paddle, self._is_repairing = ports, paddle, is_repairing
        self.drifts: list[PaddleDrift] = []
        self._listed: set[str] = set()

    async def compare(self, family: Family) -> int:
        """How many there are."""
        count = 0
        since = self._ports.clock.now() - DAYS
        async for batch in _batches(self._paddle.list_all(family, since=since)):
            count += len(batch)
            if family == "subscription":
                self._listed.update(entity.id for entity in batch)
            kept = await self._kept(family, [entity.id for entity in batch])
            for entity in batch:
                if _difference(entity, kept.get(entity.id)):
                    await self._look_again(family, entity.id)
        return count

    async def find_strange(self) -> None:
        """What we take for living, and Paddle does not list: of another Paddle, most likely."""
        async with self._ports.db.transaction() as tx:
            living = await KeptRepository(tx).living_subscriptions()
        for subscription_id in sorted(living - self._listed):
            if await self._paddle.find_entity("subscription", subscription_id) is None:
                self._note("subscription", subscription_id, _STRANGE, is_repaired=False)

    async def _look_again(self, family: Family, entity_id: str) -> None:
        """Ours first, then Paddle's: what a webhook changes in between is no difference."""
        kept = (await self._kept(family, [entity_id])).get(entity_id)
        entity = await self._paddle.find_entity(family, entity_id)
        if entity is None:
            return
        what = _difference(entity, kept)
        if what:
            is_repaired = (
                self._is_repairing and what != _UNREADABLE and await self._repair(entity, kept)
            )
            self._note(family, entity_id, what, is_repaired=is_repaired)

    async def _repair(self, entity: Entity, kept: Kept | None) -> bool:
        """As an event that is as old as Paddle's state, yet later than what we have of it.

        What Paddle tells meanwhile is later still, and wins.
        """
        thing = _read(entity)
        moments = [entity.updated_at, *([kept.occurred_at] if kept else [])]
        telling = Telling(
            thing=thing,
            event_id=new_id("rec"),  # sorts after Paddle's own `evt_…` of the same moment
            occurred_at=max(moments),
            has_payment_failed=thing.values["state"] == "past_due"
            and thing.kind is Kind.TRANSACTION,
        )
        async with self._ports.db.transaction() as tx:
            [taken], _ = await entities.take_over(tx, self._ports, [telling])
        REPAIRED.inc(taken.is_newest)
        return taken.is_newest

    async def _kept(self, family: Family, ids: Sequence[str]) -> dict[str, Kept]:
        async with self._ports.db.transaction() as tx:
            return await KeptRepository(tx).find(Kind(family), ids)

    def _note(self, family: Family, entity_id: str, what: str, *, is_repaired: bool) -> None:
        drift = PaddleDrift(family=family, id=entity_id, what=what, is_repaired=is_repaired)
        self.drifts.append(drift)


def _difference(entity: Entity, kept: Kept | None) -> str:
    """Empty where we have it as Paddle does, or need not have it."""
    try:
        values = _read(entity).values
    except Unreadable:
        return _UNREADABLE
    if kept is None:
        is_nothing = entity.family == "transaction" and values["state"] in _NOTHING_YET
        return "" if is_nothing and values["billed_at"] is None else _MISSING
    return ", ".join(sorted(name for name in values if values[name] != kept.values[name]))


def _read(entity: Entity) -> Thing:
    return shapes.read(Kind(entity.family), entity.raw)


async def _batches(found: AsyncIterator[Entity]) -> AsyncIterator[list[Entity]]:
    batch: list[Any] = []
    async for entity in found:
        batch.append(entity)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
