"""Who does the night's work: one worker, and another one where that one did not end it."""

from datetime import date, datetime

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.billing.models import Night


class NightRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def take(self, name: str, day: date, *, now: datetime, stale: datetime) -> bool:
        """Whether it is ours: not begun for `day`, or begun before `stale` and not ended."""
        adding = insert(Night).values(name=name, day=day, begun_at=now)
        unended = and_(Night.ended_at.is_(None), Night.begun_at < stale)
        statement = adding.on_conflict_do_update(
            index_elements=[Night.name],
            set_={"day": day, "begun_at": now, "ended_at": None},
            where=or_(Night.day < day, and_(Night.day == day, unended)),
        ).returning(Night.name)
        return await self._tx.scalar(statement) is not None

    async def go_on(self, name: str, *, at: datetime) -> None:
        """It is still being done; or, of an earlier time, it may be taken so much sooner."""
        await self._tx.execute(update(Night).where(Night.name == name).values(begun_at=at))

    async def end(self, name: str, *, drift: int, now: datetime) -> None:
        """It is done."""
        values = {"ended_at": now, "drift": drift}
        await self._tx.execute(update(Night).where(Night.name == name).values(values))

    async def is_done(self, name: str, day: date) -> bool:
        """Whether that of `day` has ended."""
        query = select(Night.ended_at).where(Night.name == name, Night.day == day)
        return await self._tx.scalar(query) is not None

    async def drift(self, name: str) -> int:
        """What the last one found and left; zero before the first."""
        return await self._tx.scalar(select(Night.drift).where(Night.name == name)) or 0
