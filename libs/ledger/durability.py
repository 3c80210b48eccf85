"""Nothing is served from a PostgreSQL that may forget what it acknowledged."""

import asyncio
from datetime import timedelta
from typing import Final

from libs.common import logs
from libs.common.pauses import growing
from libs.common.runtime import Loop, sleep
from libs.ledger.connection import LEDGER_TROUBLE, Database

log = logs.get(__name__)

LEDGER_AWAITED: Final = "ledger_awaited"

_FIRST_PAUSE: Final = timedelta(milliseconds=100)
_LONGEST_PAUSE: Final = timedelta(seconds=2)


async def await_durability(database: Database, stop: asyncio.Event) -> None:
    """Return once the ledger has answered that it keeps what it acknowledges, or at a stop.

    Waits while it is away. Raises DurabilityMissing: then waiting does not help.
    """
    pauses = growing(_FIRST_PAUSE, _LONGEST_PAUSE)
    while not stop.is_set():
        try:
            await database.check_durability()
        except LEDGER_TROUBLE:
            log.warning(LEDGER_AWAITED)
            await sleep(stop, next(pauses))
        else:
            return


def once_durable(database: Database, loop: Loop) -> Loop:
    """`loop`, begun after that."""

    async def run(stop: asyncio.Event) -> None:
        await await_durability(database, stop)
        await loop(stop)

    return run
