"""What has ended is counted once, by hour and day, whatever happens to who counts.

The identity that is held everywhere: counted + told but not counted = ended.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.common import outbox
from libs.common.broker.protocol import Message
from libs.common.database import Database
from libs.common.settings import Secret
from libs.ledger import roll_up
from libs.ledger.cancel import Cancelled, Change
from libs.ledger.dispatcher_ledger import DispatcherLedger
from libs.ledger.finish import finish
from libs.ledger.look import Question
from libs.ledger.migrations import SCRIPTS
from libs.ledger.orphans import CrashBackoff
from libs.ledger.states import Outcome, State
from tests.support.ledgers import Bench, ending, retry
from tests.support.waiting import until

SUMS = (
    "completed", "failed", "cancelled", "repeated", "attempts", "prompt_tokens",
    "completion_tokens",
)  # fmt: skip
_COUNTED = """
SELECT coalesce(sum(completed + failed + cancelled), 0)::integer FROM rollups WHERE step = $1
"""
_WAITING = """
SELECT coalesce(sum(json_array_length(convert_from(o.body, 'UTF8')::json -> 'requests')), 0)
FROM uncounted_v1(1000000) u JOIN outbox o USING (id)
"""


async def counted(ledger: Bench, step: str = "day") -> int:
    value: int = await ledger.sql.fetchval(_COUNTED, step)
    return value


async def check_identity(ledger: Bench) -> None:
    """In one snapshot: counted + told but not counted = ended; hours and days say the same."""
    async with ledger.sql.transaction(isolation="repeatable_read"):
        days, hours = await counted(ledger), await counted(ledger, "hour")
        waiting = await ledger.sql.fetchval(_WAITING)
        ended = await ledger.sql.fetchval("SELECT count(*) FROM results")
        models = await ledger.sql.fetchval(
            "SELECT coalesce(sum(requests), 0) FROM model_rollups WHERE step = 'day'"
        )
        latencies = await ledger.sql.fetchval(
            "SELECT coalesce(sum((SELECT sum(n) FROM unnest(latencies) n)), 0)"
            " FROM rollups WHERE step = 'day'"
        )
        timed = await ledger.sql.fetchval(
            "SELECT coalesce(sum(completed + failed), 0) FROM rollups WHERE step = 'day'"
        )
    assert days + waiting == ended
    assert (hours, models, latencies) == (days, days, timed)


async def completed(ledger: Bench, **changes: Any) -> str:
    claim = await ledger.claimed(**changes)
    await ledger.finish(ending(claim))
    return claim.request_id


async def count(ledger: Bench) -> int:
    """How many rows of the outbox were counted."""
    return (await ledger.dispatcher.roll_up()).counted


async def tell(ledger: Bench, *finished_at: datetime, **changes: Any) -> None:
    """A fact about requests that ended then, as a finish writes it."""
    plain = {
        "id": "rr_1", "account_id": "acc_a", "project_id": "prj_a", "mode": "live", "model": "m",
        "endpoint": "e", "state": "completed", "attempts": 1,
        "tokens": {"prompt": 1, "completion": 2, "total": 3},
    }  # fmt: skip
    requests = [
        plain | {"created_at": at.isoformat(), "finished_at": at.isoformat()} | changes
        for at in finished_at
    ]
    await tell_all(ledger, requests)


async def tell_all(ledger: Bench, requests: list[dict[str, Any]]) -> None:
    body = json.dumps({"type": "requests.finished", "requests": requests}).encode()
    await ledger.sql.execute(
        "INSERT INTO outbox (routing_key, body) VALUES ('requests.finished', $1)", body
    )


async def test_every_end_is_counted_in_its_hour_and_day(ledger: Bench) -> None:
    await completed(ledger)
    again = await ledger.claimed()
    await ledger.finish(retry(again))
    await ledger.dispatcher.release()
    [claim] = await ledger.claim(again.request_id)
    failed = ending(claim, state=State.FAILED, outcome=Outcome.PERMANENT, result=None)
    await ledger.finish(failed)
    waiting = await ledger.accept(model="other")
    change = Change(Question("prj_a", "live", waiting.request_id))
    assert isinstance(await ledger.gateway.cancel(change), Cancelled)
    await completed(ledger, mode="test")

    assert await count(ledger) == 4

    await check_identity(ledger)
    rows = await ledger.sql.fetch("SELECT * FROM rollups WHERE mode = 'live' ORDER BY step")
    for row in rows:
        assert [row[name] for name in SUMS] == [1, 1, 1, 1, 3, 6, 8]
        assert sum(row["latencies"]) == 2
        assert row["waiting_ms"] >= 0
        assert row["provider_ms"] > 0
    assert [row["step"] for row in rows] == ["day", "hour"]
    assert {row["starts_at"].minute for row in rows} == {0}
    models = await ledger.sql.fetch(
        "SELECT model, requests FROM model_rollups WHERE mode = 'live' AND step = 'hour' ORDER BY 1"
    )
    assert [tuple(row) for row in models] == [("gpt-5-nano", 2), ("other", 1)]


async def test_nothing_is_counted_twice(ledger: Bench) -> None:
    await completed(ledger)
    assert [await count(ledger) for _ in range(5)] == [1, 0, 0, 0, 0]
    await completed(ledger)
    assert [await count(ledger) for _ in range(3)] == [1, 0, 0]

    assert await counted(ledger) == 2
    await check_identity(ledger)


async def test_steps_begin_at_the_hours_and_days_of_utc(ledger: Bench) -> None:
    database = await ledger.sql.fetchval("SELECT current_database()")
    await ledger.sql.execute(f"ALTER DATABASE {database} SET timezone = 'Asia/Kathmandu'")
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    just_before = midnight - timedelta(microseconds=1)
    await tell(ledger, just_before, midnight, midnight + timedelta(minutes=59))
    # Its connections are opened only now.
    assert await count(ledger) == 1

    rows = await ledger.sql.fetch("SELECT step, starts_at, completed FROM rollups ORDER BY 1, 2")
    assert [tuple(row) for row in rows] == [
        ("day", midnight - timedelta(days=1), 1),
        ("day", midnight, 2),
        ("hour", midnight - timedelta(hours=1), 1),
        ("hour", midnight, 2),
    ]


@pytest.mark.timeout(120)
async def test_many_may_count_while_requests_end(ledger: Bench) -> None:
    """Sixty requests end one by one, in four connections, while three dispatchers count."""
    claims = [await ledger.claimed(running_limit=99) for _ in range(60)]
    others = [DispatcherLedger(ledger.url, backoff=CrashBackoff()) for _ in range(2)]
    has_ended = asyncio.Event()

    async def keep_counting(dispatcher: DispatcherLedger) -> None:
        while not has_ended.is_set():
            await dispatcher.roll_up()

    async def end(part: int) -> None:
        sql = await asyncpg.connect(ledger.url)
        for claim in claims[part::4]:
            await finish(sql, [ending(claim)])
        await sql.close()

    counting = [asyncio.create_task(keep_counting(one)) for one in (ledger.dispatcher, *others)]
    await asyncio.gather(*(end(part) for part in range(4)))
    has_ended.set()
    await asyncio.gather(*counting)
    while await count(ledger):
        pass

    assert await counted(ledger) == 60
    await check_identity(ledger)
    for one in others:
        await one.close()


class Slow:
    """A finish that has drawn its number and not committed yet."""

    def __init__(self, sql: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.sql = sql
        self.transaction = sql.transaction()

    async def begin(self, ledger: Bench) -> None:
        claim = await ledger.claimed(running_limit=99, project_id="prj_slow", account_id="acc_slow")
        await self.transaction.start()
        await finish(self.sql, [ending(claim)])


async def progress(ledger: Bench) -> "asyncpg.Record":
    row = await ledger.sql.fetchrow("SELECT * FROM rollup_progress")
    assert row is not None
    return row


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])
async def test_a_number_that_was_drawn_early_and_commits_late_is_counted(
    ledger: Bench, commits: bool
) -> None:
    sql = await asyncpg.connect(ledger.url)
    slow = Slow(sql)
    await slow.begin(ledger)
    for _ in range(3):
        await completed(ledger)
        for _ in range(4):  # long enough for every gap to be forgotten that may be
            await count(ledger)

    assert await counted(ledger) == 3
    assert (await progress(ledger))["floor"] <= 1
    await (slow.transaction.commit() if commits else slow.transaction.rollback())
    await count(ledger)
    assert await counted(ledger) == 3 + commits
    await check_identity(ledger)
    # Now nobody can fill the gap any more, and it is forgotten.
    for _ in range(4):
        await count(ledger)
    row = await progress(ledger)
    assert (row["floor"], list(row["taken"])) == (5, [])
    await sql.close()


async def test_who_dies_while_counting_has_counted_nothing(ledger: Bench) -> None:
    await completed(ledger)
    sql = await asyncpg.connect(ledger.url)
    transaction = sql.transaction()
    await transaction.start()
    assert await sql.fetchval("SELECT roll_up_v1(100)") == 1

    # Meanwhile others do not wait, and count nothing.
    assert await count(ledger) == 0
    sql.terminate()
    await _gone(ledger)

    assert await count(ledger) == 1
    assert await counted(ledger) == 1
    await check_identity(ledger)


async def _gone(ledger: Bench) -> None:
    """Until the server has noticed that a client in a transaction is not there any more."""

    async def is_gone() -> bool:
        return not await ledger.sql.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )

    await until(is_gone)


async def test_what_is_purged_before_it_is_counted_is_counted_all_the_same(ledger: Bench) -> None:
    await completed(ledger)
    for table in ("attempts", "results", "requests"):
        await ledger.sql.execute(f"DELETE FROM {table}")  # noqa: S608  # constants

    await count(ledger)
    assert await counted(ledger) == 1

    await completed(ledger)
    await count(ledger)
    for table in ("attempts", "results", "requests", "outbox"):
        await ledger.sql.execute(f"DELETE FROM {table}")  # noqa: S608  # constants
    for _ in range(4):
        await count(ledger)
    assert await counted(ledger) == 2


async def test_the_condition_under_which_a_fact_must_stay_is_that_it_is_not_counted(
    ledger: Bench,
) -> None:
    async def must_stay() -> list[int]:
        rows = await ledger.sql.fetch(
            f"SELECT id FROM outbox WHERE {roll_up.UNCOUNTED}"  # noqa: S608  # a constant
        )
        return [row["id"] for row in rows]

    await completed(ledger)
    assert await must_stay() == [1]
    for _ in range(4):
        await count(ledger)
        assert await must_stay() == []
    await completed(ledger)
    assert await must_stay() == [2]


class Mute:
    """A publisher with nothing to publish, to a broker that has forgotten nothing."""

    async def remembers(self, _: str) -> bool:
        return True

    async def publish_many(self, messages: Sequence[Message]) -> list[None]:
        assert not messages
        return []


async def test_the_relay_drops_a_fact_only_once_it_is_counted(
    ledger: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TIDY_EVERY", timedelta(milliseconds=20))
    await completed(ledger)
    await count(ledger)
    await completed(ledger)
    await ledger.sql.execute("UPDATE outbox SET sent_at = now() - interval '2 h'")
    stop = asyncio.Event()

    async with Database(Secret(ledger.url), application="relay") as database:
        relay = outbox.Relay(database, Mute(), unless=roll_up.UNCOUNTED)  # type: ignore[arg-type]
        loops = [asyncio.create_task(loop(stop)) for loop in (relay.run, relay.keep_tidy)]
        await until(lambda: _has(ledger, [2]))
        await count(ledger)
        await until(lambda: _has(ledger, []))
        stop.set()
        await asyncio.gather(*loops)

    assert await counted(ledger) == 2


async def _has(ledger: Bench, ids: list[int]) -> bool:
    return [row["id"] for row in await ledger.peek("SELECT id FROM outbox ORDER BY id")] == ids


async def test_the_lag_is_the_age_of_the_oldest_fact_that_is_not_counted(ledger: Bench) -> None:
    await completed(ledger)
    await ledger.sql.execute("UPDATE outbox SET created_at = created_at - interval '1 h'")
    sql = await asyncpg.connect(ledger.url)
    async with sql.transaction():
        await sql.execute("SELECT FROM rollup_progress FOR UPDATE")
        held_up = await ledger.dispatcher.roll_up()
    await sql.close()

    assert held_up.counted == 0
    assert 3600 < held_up.lag_seconds < 3900
    assert (await ledger.dispatcher.roll_up()).lag_seconds == 0


async def test_a_long_queue_is_counted_in_bounded_steps(
    ledger: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll_up, "LIMIT", 2)
    monkeypatch.setattr(roll_up, "ROUNDS", 2)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(5):
        await tell(ledger, at, at)

    first = await ledger.dispatcher.roll_up()
    second = await ledger.dispatcher.roll_up()

    assert (first.counted, first.has_more) == (4, True)
    assert (second.counted, second.has_more) == (1, False)
    assert await counted(ledger) == 10


async def test_all_that_ended_before_the_roll_ups_were_there_is_counted_by_the_migration(
    ledger: Bench,
) -> None:
    """Also what ends at that very moment: later, and once."""
    for _ in range(3):
        await completed(ledger)
    sql = await asyncpg.connect(ledger.url)
    slow = Slow(sql)
    await slow.begin(ledger)
    await ledger.sql.execute("DELETE FROM rollup_progress")
    await ledger.sql.execute((SCRIPTS / "0005_rolled_up.sql").read_text())
    await slow.transaction.commit()
    await sql.close()

    assert await counted(ledger) == 3
    assert await count(ledger) == 1
    for _ in range(4):
        await count(ledger)
    assert await counted(ledger) == 4
    await check_identity(ledger)
    assert (await progress(ledger))["floor"] == 5


async def test_progress_of_another_server_is_taken_up(ledger: Bench) -> None:
    """A restored copy brings transaction numbers along that this server has not reached."""
    await completed(ledger)
    await count(ledger)
    await ledger.sql.execute("UPDATE rollup_progress SET settling = 1, settling_since = '9999999'")
    for _ in range(4):
        await completed(ledger)
        await count(ledger)
    for _ in range(3):
        await count(ledger)

    assert (await progress(ledger))["floor"] == 6
    assert await counted(ledger) == 5


async def test_fifty_models_have_names_and_the_rest_is_counted_together(
    ledger: Bench,
) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for start in range(0, 150, 30):
        for number in range(start, start + 30):
            await tell(ledger, at, model=f"model-{number:03}")
        await count(ledger)
    await tell(ledger, at, at, model="model-000")
    await tell(ledger, at, model="model-149")
    await count(ledger)

    rows = await ledger.sql.fetch(
        "SELECT model, requests FROM model_rollups WHERE step = 'hour' ORDER BY model"
    )
    assert len(rows) == 51
    assert tuple(rows[0]) == ("", 101)
    assert tuple(rows[1]) == ("model-000", 3)
    assert sum(row["requests"] for row in rows) == 153


async def test_roll_ups_are_kept_for_four_hundred_days(ledger: Bench) -> None:
    now = datetime.now(UTC)
    await tell(ledger, now - timedelta(days=402))
    await tell(ledger, now - timedelta(days=398))
    await count(ledger)

    assert await ledger.dispatcher.forget_old_rollups() == 4
    assert await ledger.dispatcher.forget_old_rollups() == 0
    assert await counted(ledger) == 1


async def test_a_projects_roll_ups_are_forgotten_with_it(ledger: Bench) -> None:
    await tell(ledger, datetime(2026, 3, 1, tzinfo=UTC))
    await tell(ledger, datetime(2026, 3, 1, tzinfo=UTC), project_id="prj_b")
    await count(ledger)

    gone = await roll_up.forget_project(ledger.dispatcher.database, "prj_a")

    assert gone == 4
    assert await counted(ledger) == 1


async def test_how_long_requests_took_is_kept_by_bucket(ledger: Bench) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for took in (timedelta(0), timedelta(milliseconds=3), timedelta(days=30)):
        await tell(ledger, at, created_at=(at - took).isoformat())
    await tell(ledger, at, state="cancelled", created_at=(at - timedelta(hours=1)).isoformat())
    # A clock that was set back between accept and end.
    await tell(ledger, at, created_at=(at + timedelta(hours=1)).isoformat())
    await count(ledger)

    latencies = await ledger.sql.fetchval("SELECT latencies FROM rollups WHERE step = 'day'")
    waiting = await ledger.sql.fetchval("SELECT waiting_ms FROM rollups WHERE step = 'day'")
    assert len(latencies) == 120
    assert {n: count for n, count in enumerate(latencies) if count} == {0: 2, 6: 1, 119: 1}
    assert waiting == 3 + 30 * 86_400_000


async def test_an_empty_poll_writes_nothing(ledger: Bench) -> None:
    await completed(ledger)
    for _ in range(4):
        await count(ledger)

    before = await ledger.sql.fetchval("SELECT xmin::text FROM rollup_progress")
    assert await ledger.sql.fetchval("SELECT roll_up_v1(100)") == 0
    assert await ledger.sql.fetchval("SELECT pg_current_xact_id_if_assigned()") is None
    assert await ledger.sql.fetchval("SELECT xmin::text FROM rollup_progress") == before
