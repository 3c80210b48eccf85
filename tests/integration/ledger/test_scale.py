"""What a batch costs does not grow with what lies beside it.

Measured in shared buffers, which do not depend on the machine. A generic plan that was made while
a table was empty, or a volatile clock beside an index, would show here by orders of magnitude.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from bench.scale.fill import keep_plans, renew_plans
from libs.common.ids import new_id
from libs.ledger.accept import Accepted, Idempotency, Known, Submission, accept
from libs.ledger.cancel import Cancelled, Change, cancel
from libs.ledger.claim import Claim, claim
from libs.ledger.connection import Connection
from libs.ledger.erase import Erased, erase
from libs.ledger.expire import expire
from libs.ledger.finish import finish, finish_free
from libs.ledger.give_back import GiveBack, give_back
from libs.ledger.look import ANY, Question, look
from libs.ledger.orphans import CrashBackoff, close_orphans
from libs.ledger.rehint import rehint
from libs.ledger.release import release
from tests.support.buffers import MADE_EACH_TIME, MADE_ONCE, buffers, grown
from tests.support.crowds import crowd, make_room
from tests.support.ledgers import Bench, ending, submission

FEW, MANY = 1_000, 150_000
ALONE, TWO, BATCH = 1, 2, 32
"""One goes by statements of its own; two are as good as many where only the plans matter."""

# What is known of the tables when the plans are made, which stay for as long as nothing analyses a
# table: nothing (PostgreSQL takes ten pages for granted), that they are empty, that they are small.
UNKNOWN, EMPTY, SMALL = "of unknown size", "known to be empty", "known to be small"


class Costs:
    """What each verb touched, asked on one connection, and what it answered."""

    def __init__(self, sql: "asyncpg.Connection[asyncpg.Record]", size: int) -> None:
        self.sql, self.size = sql, size
        self.touched: dict[str, int] = {}

    async def of(self, name: str, work: Callable[[Connection], Awaitable[Any]]) -> Any:
        """The answer of `work`; what it touches is added under `name`."""
        answers = []

        async def ask(connection: Connection) -> None:
            answers.append(await work(connection))

        self.touched[name] = self.touched.get(name, 0) + await buffers(self.sql, ask)
        return answers[0]

    async def accept(
        self, name: str, items: Sequence[Submission] | None = None
    ) -> Sequence[Submission]:
        """Plain ones unless given; all are accepted."""
        items = items or batch(self.size)
        answers = await self.of(name, lambda c: accept(c, items))
        assert all(isinstance(one, Accepted) for one in answers)
        return items

    async def claim(self, name: str, items: Sequence[Submission]) -> list[Claim]:
        """All of a batch."""
        ids = [item.id for item in items]
        claims: list[Claim] = await self.of(name, lambda c: claim(c, "executor-1", ids))
        assert [one.body for one in claims] == [item.body for item in items]
        return claims

    async def shift(self, items: Sequence[Submission], changes: str) -> None:
        """Make rows due; outside of what is counted."""
        await self.sql.execute(
            f"UPDATE live SET {changes} WHERE id = ANY($1)",  # noqa: S608  # a test's constant
            [item.id for item in items],
        )


async def one_of_each(sql: "asyncpg.Connection[asyncpg.Record]", size: int) -> dict[str, int]:
    """Each statement with the plans that its connections make (libs/ledger/ledger.py)."""
    await sql.execute(MADE_ONCE)
    costs = Costs(sql, size)
    await run_and_finished(costs)
    await submitted_again(costs)
    await ended_early(costs)
    await sql.execute(MADE_EACH_TIME)
    await costs.of("release", release)
    [item] = batch(1)
    await accept(sql, [item])
    assert isinstance(await costs.of("erase", lambda c: erase(c, change_of(item))), Erased)
    return costs.touched


async def run_and_finished(costs: Costs) -> None:
    """Given back once, then completed."""
    items = await costs.accept("accept")
    taken = await costs.claim("claim", items)
    returned = [GiveBack(one.request_id, one.fence, timedelta()) for one in taken]
    assert await costs.of("give back", lambda c: give_back(c, returned))
    await costs.shift(items, "slot_at = created_at")
    await costs.sql.execute(
        "UPDATE project_counters SET slots = slots + $1 WHERE project_id = 'prj_a'", len(items)
    )
    questions = [question_of(item) for item in items]
    claims = await costs.claim("claim", items)
    await costs.of("look at open ones", lambda c: look(c, questions, result_bytes=ANY))
    ends = [ending(one) for one in claims]
    assert None not in await costs.of("finish", lambda c: finish_free(c, ends))
    found = await costs.of("look", lambda c: look(c, questions, result_bytes=ANY))
    assert [one.result for one in found] == [one.result for one in ends]


async def submitted_again(costs: Costs) -> None:
    """With nonces, with keys that are new and then known, and as retries that take the keys."""
    items = [
        msgspec.structs.replace(item, idempotency=Idempotency(item.id, b"same"), nonce=item.id)
        for item in batch(costs.size)
    ]
    await costs.accept("accept with nonces and keys", items)
    again = [msgspec.structs.replace(item, id=new_id("rr"), nonce=None) for item in items]
    answers = await costs.of("accept with known keys", lambda c: accept(c, again))
    assert answers == [Known(item.id) for item in items]
    ends = [ending(one) for one in await costs.claim("claim", items)]
    assert None not in await costs.of("finish, and wait for locks", lambda c: finish(c, ends))
    retries = [
        msgspec.structs.replace(item, retried_from=was.id)
        for item, was in zip(again, items, strict=True)
    ]
    await costs.accept("accept retries", retries)
    await costs.claim("claim", retries)
    await costs.shift(retries, "due_at = created_at, lease_until = created_at, max_attempts = 1")
    closed = await costs.of("orphans", lambda c: close_orphans(c, CrashBackoff()))
    assert [one.is_final for one in closed] == [True] * costs.size


async def ended_early(costs: Costs) -> None:
    """Hinted again, expired, cancelled."""
    items = await costs.accept("accept")
    await costs.shift(items, "due_at = created_at")
    assert len(await costs.of("rehint", rehint)) == costs.size
    await costs.shift(items, "due_at = created_at, deadline = created_at")
    assert len(await costs.of("expire", expire)) == costs.size
    items = await costs.accept("accept")
    claims = await costs.claim("claim", items)
    answer = await costs.of("cancel", lambda c: cancel(c, change_of(items[0])))
    assert isinstance(answer, Cancelled)
    # No lease is left that may end while rows are added.
    await finish(costs.sql, [ending(one) for one in claims])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("tables", [UNKNOWN, EMPTY, SMALL])
async def test_a_batch_costs_the_same_beside_a_hundred_thousand_rows(
    ledger: Bench, tables: str
) -> None:
    sql = ledger.sql
    await sql.execute("SET jit = off")
    await keep_plans(sql)
    await make_room(sql)
    if tables == SMALL:
        await ledger.finish(ending(await ledger.claimed()))
    if tables != UNKNOWN:
        await renew_plans(sql)
    for size in (ALONE, TWO):  # plans are made
        await one_of_each(sql, size)
    await crowd(sql, 1, FEW)
    few = [await one_of_each(sql, size) for size in (ALONE, BATCH)]
    await crowd(sql, FEW + 1, MANY)
    many = [await one_of_each(sql, size) for size in (ALONE, BATCH)]

    grew = [grown(*both) for both in zip(few, many, strict=True)]
    assert grew == [set(), set()], (few, many)


def batch(size: int) -> list[Submission]:
    return [submission(running_limit=99) for _ in range(size)]


def question_of(item: Submission) -> Question:
    return Question(item.project_id, item.mode, item.id)


def change_of(item: Submission) -> Change:
    return Change(question_of(item))
