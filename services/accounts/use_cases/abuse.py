"""Count what looks like abuse, for the operator to look at."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.accounts.domain.abuse import Signal, hour_of
from services.accounts.models import AbuseSignal
from services.accounts.ports import Ports
from services.accounts.repositories.abuse import AbuseRepository

_MOST: Final = 1_000


async def note(ports: Ports, what: Signal, network: str) -> None:
    """It happened. In a transaction of its own, so that it counts whatever becomes of the call."""
    async with ports.db.transaction() as tx:
        await AbuseRepository(tx).count(what, network, started_at=hour_of(ports.clock.now()))


async def list_recent(ports: Ports, since: datetime) -> Sequence[AbuseSignal]:
    """What was counted in the hours from `since`, the newest hour first; at most 1 000 lines."""
    async with ports.db.transaction() as tx:
        return await AbuseRepository(tx).list_since(hour_of(since), limit=_MOST)
