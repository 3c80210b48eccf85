"""Sending orders together, and what came of them: for scenarios that need no steady load."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from tests.support.checker_sources import ask, read_calls
from tests.support.client import CarefulClient, Order, Sent
from tests.support.stack import System

FIRST: Final = (0,)
SECOND: Final = (1,)
BOTH: Final = (0, 1)
"""Places in the list of gateways."""

_STORED: Final = "SELECT count(*) FROM requests WHERE created_at >= $1"


def orders(many: int, gateways: Sequence[int] = BOTH, **wish: Any) -> list[Order]:
    """For the gateways in turn; `wish`: further fields of Order."""
    return [Order(number=n, gateway=gateways[n % len(gateways)], **wish) for n in range(many)]


async def submit(client: CarefulClient, wanted: Sequence[Order]) -> list[Sent]:
    """All at once."""
    return await asyncio.gather(*(client.submit(order) for order in wanted))


async def submit_all(client: CarefulClient, wanted: Sequence[Order]) -> list[Sent]:
    """As `submit`; every one must be accepted."""
    sent = await submit(client, wanted)
    assert all(one.is_accepted for one in sent), {one.error for one in sent}
    return sent


def slowest(sent: Sequence[Sent]) -> timedelta:
    """How long the slowest answer took."""
    return max(one.answered_at - one.sent_at for one in sent)


def verdicts(sent: Sequence[Sent]) -> set[tuple[int | None, str | None]]:
    """The kinds of answers: status and error code."""
    return {(one.status_code, one.error) for one in sent}


def calls_since(system: System, since: datetime) -> int:
    """How often the provider was called."""
    return sum(call.started_at >= since for call in read_calls(system.call_log))


async def stored_since(system: System, since: datetime) -> int:
    """How many requests there are."""
    [row] = await ask(system.database_url("requests"), _STORED, since)
    return int(row["count"])


async def is_ready(system: System, name: str) -> bool:
    """Whether a process says that it can work."""
    return await asyncio.to_thread(system.stack.is_ready, name)


async def is_not_ready(system: System, name: str) -> bool:
    """Whether it says that it cannot, or nothing at all."""
    return not await is_ready(system, name)
