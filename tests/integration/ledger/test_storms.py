"""Everything at once: whoever gets there first, each request ends once and the counters agree."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from libs.ledger.cancel import Cancelled, Change
from libs.ledger.erase import Erased
from libs.ledger.look import Question
from tests.support.ledgers import Bench, ending, retry

TOTAL = 240
PROJECTS = ("prj_0", "prj_1", "prj_2")


class Storm:
    """One ledger, and what was done to it."""

    def __init__(self, ledger: Bench) -> None:
        self.ledger = ledger
        self.chance = random.Random(20_261_122)  # noqa: S311  # a seed, to run it again
        self.ids: list[tuple[str, str]] = []
        self.cancelled: list[str] = []
        self.erased: set[str] = set()

    async def submit(self) -> None:
        for _ in range(TOTAL // 4):
            project = self.chance.choice(PROJECTS)
            accepted = await self.ledger.accept(project_id=project, running_limit=7)
            self.ids.append((project, accepted.request_id))

    async def execute(self) -> None:
        ids = [request_id for _, request_id in self.ids]
        for claim in await self.ledger.claim(*self.chance.sample(ids, min(len(ids), 20))):
            await asyncio.sleep(0)
            is_retry = self.chance.random() < 0.3
            await self.ledger.finish(retry(claim, counted=1) if is_retry else ending(claim))

    async def cancel(self) -> None:
        answer = await self.ledger.gateway.cancel(self.any_request())
        if isinstance(answer, Cancelled):
            self.cancelled.append(answer.standing.request_id)

    async def erase(self) -> None:
        answer = await self.ledger.gateway.erase(self.any_request())
        assert isinstance(answer, Erased)
        self.erased.add(answer.standing.request_id)
        self.cancelled += [answer.standing.request_id] * answer.was_open

    async def pause(self) -> None:
        project = self.chance.choice(PROJECTS)
        await self.ledger.dispatcher.pause(project)
        await self.ledger.dispatcher.resume(project)

    async def dispatch(self) -> None:
        await self.ledger.dispatcher.release()

    def any_request(self) -> Change:
        project, request_id = self.chance.choice(self.ids)
        return Change(Question(project, "live", request_id))

    async def until_done(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while await self.ledger.count("results") < TOTAL:
            if self.ids:
                await work()
            await asyncio.sleep(0)


@pytest.mark.fault(38)
@pytest.mark.timeout(150)
async def test_a_storm_of_every_verb_ends_each_request_once(ledger: Bench) -> None:
    """The fixture compares the counters with the rows."""
    storm = Storm(ledger)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(storm.submit())
        verbs = (storm.execute, storm.execute, storm.cancel, storm.erase, storm.pause)
        for verb in (*verbs, storm.dispatch):
            group.create_task(storm.until_done(verb))

    results = await ledger.peek("SELECT request_id, state FROM results")
    ended = {row["request_id"] for row in results if row["state"] == "cancelled"}
    assert (await ledger.count("live"), len(results)) == (0, TOTAL)
    assert sorted(storm.cancelled) == sorted(ended)
    left = await ledger.peek("SELECT request_id FROM bodies UNION SELECT request_id FROM body_keys")
    assert not storm.erased & {row["request_id"] for row in left}
    told = await ledger.peek(
        "SELECT json_array_elements(convert_from(body, 'UTF8')::json -> 'requests') ->> 'id' AS id"
        " FROM outbox"
    )
    assert len(told) == len({row["id"] for row in told}) == TOTAL
