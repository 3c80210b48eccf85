"""Tries are counted before anything is looked up, in a transaction of their own: they all count."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from services.accounts.domain.abuse import throttled
from services.accounts.domain.errors import TooManyTries
from services.accounts.domain.throttles import Bound
from services.accounts.ports import Ports
from services.accounts.repositories.throttles import ThrottleRepository
from services.accounts.use_cases import abuse

ANSWER_SECONDS: Final = 0.3
"""More than the work behind a question takes whose answer must not tell what was done."""


async def take(ports: Ports, bounds: Iterable[Bound]) -> None:
    """One try of each. Raises TooManyTries: then none of them was taken, and that is counted."""
    now, bound = ports.clock.now(), None
    try:
        async with ports.db.transaction() as tx:
            throttles = ThrottleRepository(tx)
            for bound in bounds:
                _check(await throttles.take(bound, now))
    except TooManyTries:
        if bound is not None and bound.network is not None:
            await abuse.note(ports, throttled(bound.name), bound.network)
        raise


def _check(wait: timedelta | None) -> None:
    if wait is not None:
        raise TooManyTries("Too many tries. Wait a little.", retry_after=wait)


async def give_back(ports: Ports, bound: Bound) -> None:
    """Whoever proved who they are may try anew."""
    async with ports.db.transaction() as tx:
        await ThrottleRepository(tx).give_back(bound)


@asynccontextmanager
async def in_even_time() -> AsyncIterator[None]:
    """However little there was to do in this block, it ends no sooner than `ANSWER_SECONDS`."""
    floor = asyncio.create_task(asyncio.sleep(ANSWER_SECONDS))
    try:
        yield
    finally:
        await floor
