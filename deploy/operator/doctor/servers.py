"""PostgreSQL, as one of our roles sees it: opened once, for all checks of that database."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import asyncpg

from deploy.operator.doctor.check import ANSWER_SECONDS, CONNECT_SECONDS, Unable
from libs.common.settings import Secret

Pool = Any
"""asyncpg's; its stubs want a parameter that says nothing."""

Answer = TypeVar("Answer")

_CLOSE_SECONDS: Final = 1.0
_SETTINGS: Final = {
    "application_name": "reqrun doctor",
    "statement_timeout": str(int(ANSWER_SECONDS * 1000)),
    "default_transaction_read_only": "on",
}


class Server:
    """One database. `name`: ours for it; `why_not`: why there is no address."""

    def __init__(self, name: str, url: Secret | None, why_not: str = "") -> None:
        self.name, self._url, self._why_not = name, url, why_not
        self._opening: asyncio.Task[Pool] | None = None

    async def open(self) -> Pool:
        """The pool, as soon as it stands. Raises Unable, and what the driver does."""
        if self._url is None:
            raise Unable(self._why_not)
        if self._opening is None:
            self._opening = asyncio.create_task(_open(self._url))
        return await asyncio.shield(self._opening)

    async def ask(self, statement: str, *values: object) -> list[Any]:
        """Rows. Raises Unable where the database does not answer at all."""
        try:
            pool = await self.open()
        except (OSError, TimeoutError, asyncpg.PostgresError):
            raise Unable("PostgreSQL does not let us in") from None
        rows: list[Any] = await pool.fetch(statement, *values, timeout=ANSWER_SECONDS)
        return rows

    async def ask_one(self, statement: str, *values: object) -> Any:
        """The one row."""
        [row] = await self.ask(statement, *values)
        return row

    async def using(self, work: Callable[[Any], Awaitable[Answer]]) -> Answer:
        """What a verb of ours answers on one of the connections. Raises as `ask`."""
        try:
            pool = await self.open()
        except (OSError, TimeoutError, asyncpg.PostgresError):
            raise Unable("PostgreSQL does not let us in") from None
        async with pool.acquire(timeout=ANSWER_SECONDS) as connection:
            return await work(connection)

    async def close(self) -> None:
        """Politely, or not: a frozen server is not waited for."""
        if self._opening is None:
            return
        self._opening.cancel()
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncio.CancelledError):
            pool = await self._opening
            try:
                await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
            except TimeoutError:
                pool.terminate()
                await asyncio.sleep(0)  # its transports close when the loop turns once more


async def _open(url: Secret) -> Pool:
    return await asyncio.wait_for(
        asyncpg.create_pool(
            url.reveal(),
            min_size=1,
            max_size=2,
            timeout=CONNECT_SECONDS,
            command_timeout=ANSWER_SECONDS,
            server_settings=_SETTINGS,
        ),
        CONNECT_SECONDS,
    )
