"""Usage by day says what the records say, in the transaction that adds them; a period adds days."""

import asyncio
import shutil
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deploy.local.servers.postgresql import PostgreSql
from libs.common import migrations
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.executor import FinishedRequest, RequestsFinished, TokenUsage
from libs.common.contracts.plans import PLANS, PlanName
from libs.common.database import Database
from libs.common.settings import Secret
from services.billing import app
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountNotFound
from services.billing.use_cases import accounts, usage
from tests.support import catalogue, servers
from tests.support.finished import CREATED_AT, finished
from tests.support.frozen_clock import FrozenClock

_RECORDS = """
SELECT account_id, (created_at AT TIME ZONE 'UTC')::date AS day, {columns}, count(*), sum(attempts),
    sum(prompt_tokens), sum(completion_tokens), sum(total_tokens)
FROM usage_records GROUP BY account_id, day, {columns} ORDER BY 1, 2, {columns}
"""
_DAYS = """
SELECT account_id, day, {columns}, requests, attempts, prompt_tokens, completion_tokens,
    total_tokens
FROM {table} ORDER BY 1, 2, {columns}
"""
_COPY = """
INSERT INTO usage_records
SELECT 'rr_2', account_id, project_id, endpoint, model, state, attempts, created_at, finished_at,
    1, 2, 3, period
FROM usage_records
"""


async def check(ports: Ports) -> None:
    """Both sums are what the records add up to."""
    sums = {"usage_days": "project_id, model, state", "usage_account_days": "state"}
    for table, columns in sums.items():
        async with ports.db.transaction() as tx:
            records = (await tx.execute(text(_RECORDS.format(columns=columns)))).all()
            days = (await tx.execute(text(_DAYS.format(columns=columns, table=table)))).all()
        assert records == days, table
        assert records


async def record(ports: Ports, *requests: FinishedRequest) -> None:
    await usage.Recorder(ports).record(RequestsFinished(requests=requests))


def any_request(number: int) -> FinishedRequest:
    """One of three accounts, three days, two projects and models, and of every state."""
    chance = Random(number)  # noqa: S311  the same request each time
    return finished(
        number,
        account_id=f"acc_{chance.randrange(3)}",
        project_id=f"prj_{chance.randrange(2)}",
        model=chance.choice(["gpt-4o-mini", "Größe"]),
        state=chance.choice(["completed", "failed", "cancelled"]),
        attempts=chance.randrange(4),
        created_at=CREATED_AT + timedelta(hours=chance.randrange(72)),
        tokens=TokenUsage(prompt=chance.randrange(9), completion=3, total=chance.randrange(20)),
    )


async def test_days_are_the_records_whoever_tells_them_how_often_and_in_what_order(
    ports: Ports,
) -> None:
    chance = Random(11)  # noqa: S311  the same order in every run
    numbers = list(range(300))
    tellings = []
    for _ in range(30):
        chance.shuffle(numbers)
        tellings.append(tuple(any_request(number) for number in numbers[:60]))

    await asyncio.gather(*(record(ports, *requests) for requests in tellings))

    await check(ports)


async def copy_and_break(ports: Ports) -> None:
    async with ports.db.transaction() as tx:
        await tx.execute(text(_COPY))
        await tx.execute(text("SELECT 1 / 0"))


async def test_a_batch_that_is_rolled_back_leaves_no_sum(ports: Ports) -> None:
    await record(ports, finished(1))

    with pytest.raises(DBAPIError):
        await copy_and_break(ports)

    await check(ports)


async def test_the_release_before_adds_to_the_days_too(ports: Ports, billing_address: str) -> None:
    """Its statement, word for word; and records from before the days are in them."""
    statement = (
        "INSERT INTO usage_records (request_id, account_id, project_id, endpoint, model, state,"
        " attempts, created_at, finished_at, prompt_tokens, completion_tokens, total_tokens,"
        " period) SELECT * FROM unnest($1::text[], $2::text[], $2::text[], $2::text[], $2::text[],"
        " ARRAY['failed', 'failed'], ARRAY[1, 1], $3::timestamptz[], $3::timestamptz[],"
        " ARRAY[1, 1], ARRAY[2, 2], ARRAY[3, 3], ARRAY['2026-03-01', '2026-03-01']::date[])"
        " ORDER BY 1 ON CONFLICT DO NOTHING RETURNING request_id"
    )
    await catalogue.execute(
        billing_address, statement, ["rr_1", "rr_1"], ["acc_1", "acc_1"], [CREATED_AT] * 2
    )

    await check(ports)


async def test_records_from_before_the_days_are_in_them(
    postgresql_server: PostgreSql, tmp_path: Path
) -> None:
    before = tmp_path / "versions"
    shutil.copytree(app.VERSIONS, before)
    for revision in before.glob("000[3-9]*"):
        revision.unlink()
    with servers.database(postgresql_server) as url:
        await migrations.upgrade(url, before)
        await catalogue.execute(url, _CROWD, CREATED_AT)

        await migrations.upgrade(url, app.VERSIONS)

        async with Database(Secret(url), application="test") as db:
            await check(Ports(db=db, clock=FrozenClock()))


@pytest.mark.parametrize("table", ["usage_days", "usage_account_days"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET requests = 0", "DELETE FROM {}"])
async def test_the_service_may_not_change_what_was_summed(
    database_url: Secret, table: str, verb: str
) -> None:
    connection = await asyncpg.connect(database_url.reveal())
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(verb.format(table))
    finally:
        await connection.close()


def show(ports: Ports, now: datetime) -> None:
    assert isinstance(ports.clock, FrozenClock)
    ports.clock.advance(now - ports.clock.now())


async def anchored(ports: Ports, anchor_day: int, plan: PlanName = PlanName.PRO) -> None:
    await accounts.open_books(ports, AccountCreated(account_id="acc_1"))
    async with ports.db.transaction() as tx:
        await tx.execute(
            text("UPDATE billing_accounts SET anchor_day = :day, effective_plan = :plan"),
            {"day": anchor_day, "plan": plan},
        )


@pytest.mark.parametrize(
    ("anchor_day", "now", "period", "resets_on"),
    [
        (1, "2026-03-31T23:59:59", "2026-03-01", "2026-04-01"),
        (1, "2026-04-01T00:00:00", "2026-04-01", "2026-05-01"),
        (31, "2026-02-28T00:00:00", "2026-02-28", "2026-03-31"),
        (31, "2026-02-27T23:59:59", "2026-01-31", "2026-02-28"),
        (15, "2026-03-15T00:00:00", "2026-03-15", "2026-04-15"),
    ],
)
async def test_a_period_adds_the_days_from_its_first_to_the_last_before_the_next(
    ports: Ports, anchor_day: int, now: str, period: str, resets_on: str
) -> None:
    show(ports, datetime.fromisoformat(now).replace(tzinfo=UTC))
    begins, ends = (
        datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        for day in (period, resets_on)
    )
    moment = timedelta(microseconds=1)
    await anchored(ports, anchor_day)
    edges = (begins - moment, begins, ends - moment, ends)
    await record(
        ports, *(finished(n, created_at=edge, finished_at=edge) for n, edge in enumerate(edges))
    )

    answer = await usage.of_period(ports, "acc_1")

    assert (answer.period.isoformat(), answer.resets_on.isoformat()) == (period, resets_on)
    assert answer.allowed == PLANS[PlanName.PRO].limits.requests_per_month
    assert answer.finished == 2
    assert sum(line.completed for line in answer.lines) == 2


async def test_an_account_without_open_books_has_no_period(ports: Ports) -> None:
    with pytest.raises(BillingAccountNotFound):
        await usage.of_period(ports, "acc_1")


_CROWD = """
INSERT INTO usage_records
SELECT 'rr_' || m || '_' || d || '_' || n, 'acc_1', 'prj_1', 'chat/completions', 'model-' || m,
    'completed', 1, moment, moment, 1, 2, 3, date_trunc('month', moment AT TIME ZONE 'UTC')
FROM generate_series(1, 50) AS m, generate_series(0, 399) AS d, generate_series(1, 1 + m % 3) AS n,
    LATERAL (SELECT $1::timestamptz - make_interval(days => d) AS moment) AS t
"""


async def test_of_a_year_and_fifty_models_a_period_is_told_at_once_the_largest_first(
    ports: Ports, billing_address: str
) -> None:
    show(ports, datetime(2026, 3, 31, 12, tzinfo=UTC))
    await anchored(ports, 1)
    await catalogue.execute(billing_address, _CROWD, ports.clock.now())

    started = time.perf_counter()
    answer = await usage.of_period(ports, "acc_1")
    took = time.perf_counter() - started

    assert answer.finished == sum(1 + m % 3 for m in range(1, 51)) * 31
    named = [line for line in answer.lines if line.model]
    rest = [line for line in answer.lines if not line.model]
    assert len(named) == usage.LINES
    assert [line.completed for line in named] == [3] * usage.LINES
    assert len({line.day for line in rest}) == len(rest) <= 31
    assert {line.project_id for line in rest} == {""}
    told = sum(line.completed for line in answer.lines)
    assert told == answer.finished
    assert sum(line.total_tokens for line in answer.lines) == 3 * told
    assert took < 2
