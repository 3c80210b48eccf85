"""A ledger with all three hands on it, and eyes that look past them at the rows."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec

from libs.common.ids import new_id
from libs.ledger.accept import Accepted, Submission, accept
from libs.ledger.claim import Claim
from libs.ledger.dispatcher_ledger import DispatcherLedger
from libs.ledger.finish import Finish, Finished
from libs.ledger.ledger import ExecutorLedger, GatewayLedger
from libs.ledger.orphans import CrashBackoff
from libs.ledger.states import Outcome, State

_TABLES = (
    "live", "requests", "results", "attempts", "bodies", "body_keys", "idempotency_keys", "nonces",
    "cooldowns", "account_counters", "project_counters", "erasures", "outbox",
    "rollups", "model_rollups",
)  # fmt: skip


def submission(**changes: Any) -> Submission:
    """A submission of project `prj_a`; change what the test is about."""
    plain = Submission(
        id=new_id("rr"),
        account_id="acc_a",
        project_id="prj_a",
        key_id="key_a",
        mode="live",
        endpoint="chat/completions",
        model="gpt-5-nano",
        connection_id="con_a",
        body=b'{"model":"gpt-5-nano","messages":[]}',
        body_key=bytes(16),
        deadline=timedelta(days=1),
        max_attempts=8,
        call_timeout=timedelta(minutes=10),
        fails_on_unknown=False,
        retention=timedelta(days=30),
        running_limit=4,
        pending_limit=1_000_000,
        monthly_limit=1_000_000,
    )
    return msgspec.structs.replace(plain, **changes)


def ending(claim: Claim, **changes: Any) -> Finish:
    """The finish of a claim, completed unless changed."""
    plain = Finish(
        request_id=claim.request_id,
        fence=claim.fence,
        attempt=claim.attempt,
        state=State.COMPLETED,
        outcome=Outcome.COMPLETED,
        result=b'{"object":"chat.completion"}',
        prompt_tokens=3,
        completion_tokens=4,
        total_tokens=7,
    )
    return msgspec.structs.replace(plain, **changes)


def retry(claim: Claim, after: timedelta = timedelta(), **changes: Any) -> Finish:
    """A transient end of a claim, to be tried again."""
    return ending(
        claim,
        state=State.RETRYING,
        outcome=Outcome.TRANSIENT,
        error_code="provider_unavailable",
        retry_after=after,
        retry_rule="backoff-waits",
        result=None,
        **changes,
    )


class Bench:
    """One ledger: `gateway`, `executor`, `dispatcher`, and `sql` for what no hand may do."""

    def __init__(self, url: str, sql: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.url = url
        self.gateway = GatewayLedger(url)
        self.executor = ExecutorLedger(url, owner="executor-1")
        self.other = ExecutorLedger(url, owner="executor-2")
        self.dispatcher = DispatcherLedger(url, backoff=CrashBackoff())
        self.sql = sql

    async def accept(self, **changes: Any) -> Accepted:
        """Accept one."""
        verdict = await self.gateway.accept(submission(**changes))
        assert isinstance(verdict, Accepted)
        return verdict

    async def fill_accepted(self, count: int, **changes: Any) -> list[str]:
        """Accept many in few statements; their ids, oldest first."""
        items = [submission(**changes) for _ in range(count)]
        for start in range(0, count, 500):
            await accept(self.sql, items[start : start + 500])
        return [item.id for item in items]

    async def claim(self, *ids: str) -> list[Claim]:
        """Claim as the first executor."""
        return await self.executor.claim(ids)

    async def claimed(self, **changes: Any) -> Claim:
        """Accept one and claim it."""
        accepted = await self.accept(**changes)
        return (await self.claim(accepted.request_id))[0]

    async def finish(self, item: Finish) -> Finished | None:
        """Finish as the first executor."""
        return await self.executor.finish(item)

    async def live(self, request_id: str) -> dict[str, Any] | None:
        """The live row with its times as seconds from now; None when there is none."""
        row = await self.sql.fetchrow(
            """
            SELECT state, fence, attempts, counted, timeouts, crash_count, last_error_code,
                lease_owner, slot_at IS NOT NULL AS has_slot, sent_at IS NOT NULL AS is_sent,
                extract(epoch FROM not_before - clock_timestamp())::float8 AS not_before,
                extract(epoch FROM due_at - clock_timestamp())::float8 AS due,
                extract(epoch FROM lease_until - clock_timestamp())::float8 AS lease,
                extract(epoch FROM deadline - clock_timestamp())::float8 AS deadline
            FROM live WHERE id = $1
            """,
            request_id,
        )
        return None if row is None else dict(row)

    async def result(self, request_id: str) -> dict[str, Any] | None:
        """The final row."""
        row = await self.sql.fetchrow("SELECT * FROM results WHERE request_id = $1", request_id)
        return None if row is None else dict(row)

    async def attempts(self, request_id: str) -> Sequence[dict[str, Any]]:
        """The ended attempts, in order."""
        rows = await self.sql.fetch(
            "SELECT * FROM attempts WHERE request_id = $1 ORDER BY number", request_id
        )
        return [dict(row) for row in rows]

    async def shift(self, request_id: str, seconds: float) -> None:
        """Move a live row's times into the past, as if `seconds` had gone by."""
        await self.sql.execute(
            """
            UPDATE live SET not_before = not_before - $2::interval,
                due_at = due_at - $2::interval, deadline = deadline - $2::interval,
                lease_until = lease_until - $2::interval, slot_at = slot_at - $2::interval
            WHERE id = $1
            """,
            request_id,
            timedelta(seconds=seconds),
        )

    async def expire_lease(self, request_id: str) -> None:
        """End a lease now."""
        await self.sql.execute(
            """
            UPDATE live SET lease_until = clock_timestamp() - interval '1 ms',
                due_at = clock_timestamp() - interval '1 ms' WHERE id = $1
            """,
            request_id,
        )

    async def peek(self, statement: str) -> "list[asyncpg.Record]":
        """Rows, on a connection of its own: several tasks may look at once."""
        connection = await asyncpg.connect(self.url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        rows = await self.peek(f"SELECT count(*) FROM {table}")  # noqa: S608  # a test's constant
        return int(rows[0][0])

    async def forget_everything(self) -> None:
        """Empty every table: quicker than another database, for tests that are many in one."""
        for table in _TABLES:
            await self.sql.execute(f"DELETE FROM {table}")  # noqa: S608  # constants

    async def slots(self, project_id: str = "prj_a", mode: str = "live") -> int:
        """The project's slot counter."""
        value: int = await self.sql.fetchval(
            "SELECT slots FROM project_counters WHERE project_id = $1 AND mode = $2",
            project_id,
            mode,
        )
        return value


@asynccontextmanager
async def bench(url: str) -> AsyncIterator[Bench]:
    """Open all hands; at the end the counters must match the rows, whatever the test did."""
    sql = await asyncpg.connect(url)
    hands = Bench(url, sql)
    try:
        yield hands
        drift = await hands.dispatcher.measure_drift()
        assert (drift.pending, drift.slots, drift.strays) == (0, 0, 0)
    finally:
        await sql.close()
        for hand in (hands.gateway, hands.executor, hands.other, hands.dispatcher):
            await hand.close()
