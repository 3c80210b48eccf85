"""How often something may be tried, counted in the database: for all processes together."""

from datetime import datetime, timedelta

from sqlalchemy import Interval, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.throttles import Bound
from services.accounts.models import Throttle
from services.accounts.models.base import MOMENT


class ThrottleRepository:
    """Within one transaction. A try counts when that commits."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def take(self, bound: Bound, now: datetime) -> timedelta | None:
        """Take one try. None where there was one; else how long until there is.

        One statement decides: of many at once, no more than the bound get one.
        """
        moment, step = literal(now, MOMENT), literal(bound.window / bound.tries, Interval)
        next_full_at = func.greatest(Throttle.full_at, moment) + step
        taken = (
            insert(Throttle)
            .values(name=bound.name, full_at=moment + step)
            .on_conflict_do_update(
                index_elements=[Throttle.name],
                set_={"full_at": next_full_at},
                where=next_full_at <= moment + literal(bound.window, Interval),
            )
            .returning(Throttle.name)
        )
        if (await self._tx.scalars(taken)).first() is not None:
            return None
        query = select(Throttle.full_at).where(Throttle.name == bound.name)
        full_at = (await self._tx.scalars(query)).one()
        wait = full_at + bound.window / bound.tries - (now + bound.window)
        return max(wait, timedelta(seconds=1))

    async def give_back(self, bound: Bound) -> None:
        """All its tries are there again."""
        await self._tx.execute(delete(Throttle).where(Throttle.name == bound.name))
