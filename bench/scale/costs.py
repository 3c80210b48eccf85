"""What each hot statement touches, by pg_stat_statements, asked as the services ask."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import asyncpg

from libs.common.ids import new_id
from libs.ledger.accept import Accepted, Submission
from libs.ledger.claim import Claim
from libs.ledger.finish import Finish
from libs.ledger.ledger import ExecutorLedger, GatewayLedger
from libs.ledger.look import Question
from libs.ledger.states import Outcome, State

BATCH = 32
ALONE = 1
"""How many requests go together. Where little is to do each goes alone (decision 0032)."""
VERBS = ("accept", "claim", "finish", "look")

_PROJECT = "prj_7"
_TOUCHED = """
SELECT coalesce(sum(s.shared_blks_hit + s.shared_blks_read), 0)::bigint
FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%'
"""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Wrong(Exception):
    """A statement did not do its work, so that its cost says nothing."""


class Costs:
    """One set of hands for a whole run, a session each: plans that were made early stay."""

    def __init__(self, url: str, sql: "asyncpg.Connection[asyncpg.Record]") -> None:
        """`sql`: a superuser's, to read the counters."""
        self._sql = sql
        self._gateway = GatewayLedger(url, connections=1)
        self._executor = ExecutorLedger(url, owner="executor-1", connections=1)

    async def make_plans(self) -> None:
        """Run every statement once, so that it is planned. Raises Wrong."""
        for together in (BATCH, ALONE):
            await self._run(together)

    async def measure(self, requests: int, together: int) -> dict[str, float]:
        """Buffers a request by verb, after first ones that do not count. Raises Wrong."""
        await self._run(together)
        totals = dict.fromkeys(VERBS, 0)
        for _ in range(requests // together):
            for verb, touched in (await self._run(together)).items():
                totals[verb] += touched
        return {verb: total / (requests // together * together) for verb, total in totals.items()}

    async def close(self) -> None:
        """Give the connections back."""
        await self._gateway.close()
        await self._executor.close()

    async def _run(self, together: int) -> dict[str, int]:
        """So many requests at once, from their acceptance to their answers."""
        items = [_submission() for _ in range(together)]
        ids = [item.id for item in items]
        questions = [Question(item.project_id, item.mode, item.id) for item in items]
        touched: dict[str, int] = {}
        verdicts, touched["accept"] = await self._cost(_all(self._gateway.accept, items))
        claims, touched["claim"] = await self._cost(self._executor.claim(ids))
        ends = [_ending(one) for one in claims]
        finished, touched["finish"] = await self._cost(_all(self._executor.finish, ends))
        found, touched["look"] = await self._cost(_all(self._gateway.look, questions))
        if not all(isinstance(verdict, Accepted) for verdict in verdicts):
            raise Wrong("not everything was accepted")
        if len(claims) != together or None in finished or None in found:
            raise Wrong("not everything was claimed, finished and found")
        return touched

    async def _cost(self, work: Awaitable[Answer]) -> tuple[Answer, int]:
        before: int = await self._sql.fetchval(_TOUCHED)
        answer = await work
        after: int = await self._sql.fetchval(_TOUCHED)
        return answer, after - before


async def _all(verb: Callable[[Item], Awaitable[Answer]], items: Sequence[Item]) -> list[Answer]:
    """Callers of one instant."""
    return list(await asyncio.gather(*(verb(item) for item in items)))


def _submission() -> Submission:
    return Submission(
        id=new_id("rr"),
        account_id="acc_7",
        project_id=_PROJECT,
        key_id="key_7",
        mode="live",
        endpoint="chat/completions",
        model="model-2",
        connection_id="con_7",
        body=bytes(700),
        body_key=bytes(16),
        deadline=timedelta(days=1),
        max_attempts=8,
        call_timeout=timedelta(minutes=10),
        fails_on_unknown=False,
        retention=timedelta(days=20),
        running_limit=2_048,
        pending_limit=1_000_000,
        monthly_limit=1_000_000_000,
    )


def _ending(one: Claim) -> Finish:
    return Finish(
        request_id=one.request_id,
        fence=one.fence,
        attempt=one.attempt,
        state=State.COMPLETED,
        outcome=Outcome.COMPLETED,
        status_code=200,
        result=bytes(700),
        prompt_tokens=96,
        completion_tokens=84,
        total_tokens=180,
    )
