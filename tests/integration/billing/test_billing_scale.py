"""What is done all day costs what it is about, and not what is kept beside it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from libs.common.contracts.accounts import AccountCreated
from libs.common.database import Transaction
from services.billing.ports import Ports
from services.billing.repositories.days import UsageDayRepository
from services.billing.repositories.invoices import InvoiceRepository
from services.billing.repositories.webhooks import WebhookRepository
from services.billing.use_cases import accounts
from tests.support.paddle_events import BEGAN_AT

Sql = asyncpg.Connection
MANY = 20_000
MOST_PAGES = 100

_WEBHOOKS = """
INSERT INTO webhooks (event_id, event_type, occurred_at, received_at, signature, body, state,
    try_at, customer_id, account_id)
SELECT 'evt_' || n, 'transaction.updated', now(), now(), '', convert_to(repeat('x', 200), 'UTF8'),
    'applied', now(), 'ctm_' || n / 10, 'acc_' || n / 10
FROM generate_series(1, $1::integer) n
"""
_DAYS = """
INSERT INTO usage_account_days
SELECT 'acc_1', '2026-01-01'::date - n, 'completed', 1, 1, 1, 1, 1
FROM generate_series(1, $1::integer) n
"""
_SALES = """
INSERT INTO transactions (id, occurred_at, event_id, state, billed_at, currency, subtotal, tax,
    total, charged, lines)
SELECT 'txn_' || n, now(), 'evt', 'completed', CASE WHEN n % 10 > 0 THEN now() END, 'EUR', 1, 1, 1,
    1, '[]'
FROM generate_series(1, $1::integer) n
"""


@pytest.fixture
async def sql(billing_address: str) -> "AsyncIterator[Sql[asyncpg.Record]]":
    connection = await asyncpg.connect(billing_address)
    yield connection
    await connection.close()


async def _pages(sql: "Sql[asyncpg.Record]") -> int:
    value: int = await sql.fetchval(
        "SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))"
        "::bigint FROM pg_statio_user_tables"
    )
    return value


async def _strip(tx: Transaction) -> None:
    await WebhookRepository(tx).strip("acc_none", ["ctm_none"])


async def _look(tx: Transaction) -> None:
    assert await UsageDayRepository(tx).accounts_since(BEGAN_AT.date(), "", 200) == []


async def _drop(tx: Transaction) -> None:
    before = datetime.now(UTC) - timedelta(days=90)
    assert await InvoiceRepository(tx).drop_old(before - timedelta(days=3_700), before, 1_000) == 0


@pytest.mark.parametrize(
    ("fill", "work"),
    [(_WEBHOOKS, _strip), (_DAYS, _look), (_SALES, _drop)],
    ids=["strip", "look", "drop"],
)
async def test_what_is_beside_it_is_not_read(
    ports: Ports,
    sql: "Sql[asyncpg.Record]",
    fill: str,
    work: Callable[[Transaction], Awaitable[None]],
) -> None:
    await accounts.open_books(ports, AccountCreated(account_id="acc_1", plan="free"))
    await sql.execute(fill.replace("$1::integer", str(MANY)))
    await sql.execute("VACUUM ANALYZE")
    await sql.execute("SELECT pg_stat_force_next_flush()")
    before = await _pages(sql)

    async with ports.db.transaction() as tx:
        await work(tx)
        await tx.execute(text("SELECT pg_stat_force_next_flush()"))

    assert await _pages(sql) - before < MOST_PAGES
