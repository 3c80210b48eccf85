"""Every order in which the statements of a few transactions can meet, one after the other.

The product's own code runs on real connections of which each statement, and each commit, waits for
its turn. Who waits for a lock is found by `pg_blocking_pids` and gets no turn until it has it, so
that an order that cannot be is never tried, and nothing is ever slept on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

_BLOCKED = """
SELECT count(*) FROM unnest($1::integer[]) AS pid WHERE cardinality(pg_blocking_pids(pid)) > 0
"""
_MOMENT_SECONDS = 0.01

Verb = Callable[[Any], Awaitable[str]]
"""What one of them does on its connection; answers a word for what came of it."""


class Stepped:
    """A connection that takes one step a turn: a statement inside a transaction, or a commit.

    A statement on its own is two steps, since others can come between it and its commit too.
    """

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection
        self.pid = connection.get_server_pid()
        self._turn = asyncio.Semaphore(0)
        self._is_inside = False
        self.is_at_rest = asyncio.Event()

    def take_turn(self) -> None:
        """Let it go on to its next gate."""
        self.is_at_rest.clear()
        self._turn.release()

    async def act(self, verb: Verb) -> str:
        """Do it, step by step."""
        try:
            return await verb(self)
        finally:
            self.is_at_rest.set()

    async def fetch(self, *args: Any) -> Any:
        return await self._statement(self._connection.fetch, *args)

    async def fetchrow(self, *args: Any) -> Any:
        return await self._statement(self._connection.fetchrow, *args)

    async def fetchval(self, *args: Any) -> Any:
        return await self._statement(self._connection.fetchval, *args)

    async def execute(self, *args: Any) -> Any:
        return await self._statement(self._connection.execute, *args)

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """As libs.ledger.connection.Database does, for verbs of more than one transaction."""
        return await work(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            self._is_inside = True
            try:
                yield
                await self._gate()
            finally:
                self._is_inside = False

    async def _statement(self, run: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if self._is_inside:
            await self._gate()
            return await run(*args)
        async with self.transaction():
            await self._gate()
            return await run(*args)

    async def _gate(self) -> None:
        self.is_at_rest.set()
        await self._turn.acquire()


class _Stage:
    """As many connections as there are actors, and eyes that see who waits for whom."""

    def __init__(self, eyes: "asyncpg.Connection[asyncpg.Record]", actors: list[Stepped]) -> None:
        self._eyes, self._actors = eyes, actors

    async def play(
        self, verbs: Sequence[Verb], order: Sequence[int]
    ) -> tuple[list[str], list[tuple[int, list[int]]]]:
        """Play `order`, then the first who can, to the end.

        Answers the words, and for each turn who took it and who could have.
        """
        tasks = []
        for verb, actor in zip(verbs, self._actors, strict=True):
            actor.is_at_rest.clear()
            tasks.append(asyncio.create_task(actor.act(verb)))
        turns: list[tuple[int, list[int]]] = []
        async with asyncio.timeout(30):
            while ready := await self._ready(tasks):
                who = order[len(turns)] if len(turns) < len(order) else ready[0]
                turns.append((who, ready))
                self._actors[who].take_turn()
        return [task.result() for task in tasks], turns

    async def _ready(self, tasks: Sequence["asyncio.Task[str]"]) -> list[int]:
        """Who is at a gate, once all others have ended or wait for a lock."""
        while moving := [one for one in self._actors if not one.is_at_rest.is_set()]:
            try:
                # A statement takes a millisecond or two: few have to be looked at.
                async with asyncio.timeout(_MOMENT_SECONDS):
                    await asyncio.gather(*(actor.is_at_rest.wait() for actor in moving))
            except TimeoutError:
                pids = [actor.pid for actor in moving if not actor.is_at_rest.is_set()]
                if pids and await self._eyes.fetchval(_BLOCKED, pids) == len(pids):
                    break
        ready = [
            number
            for number, task in enumerate(tasks)
            if self._actors[number].is_at_rest.is_set() and not task.done()
        ]
        assert ready or all(task.done() for task in tasks), "they wait for each other"
        return ready


async def every_order(
    url: str, scene: Callable[[], Awaitable[Sequence[Verb]]], actors: int
) -> AsyncIterator[list[str]]:
    """Play the scene, set up anew each time, in every order; yields what each actor answered."""
    async with AsyncExitStack() as stack:
        opened = [await asyncpg.connect(url) for _ in range(actors + 1)]
        for connection in opened:
            stack.push_async_callback(connection.close)
        stage = _Stage(opened[0], [Stepped(connection) for connection in opened[1:]])
        order: list[int] | None = []
        while order is not None:
            answers, turns = await stage.play(await scene(), order)
            yield answers
            order = _next(turns)


def _next(turns: list[tuple[int, list[int]]]) -> list[int] | None:
    """The next order: the last turn that another could have taken goes to that other."""
    for number in range(len(turns) - 1, -1, -1):
        who, ready = turns[number]
        later = [other for other in ready if other > who]
        if later:
            return [taker for taker, _ in turns[:number]] + [later[0]]
    return None
