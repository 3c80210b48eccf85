import asyncpg
import pytest

from bench.scale import costs
from bench.scale.costs import VERBS, Costs
from bench.scale.fill import fill, keep_plans, renew_plans


@pytest.mark.timeout(120)
async def test_every_verb_does_its_work_beside_generated_rows_and_its_cost_is_read(
    ledger_url: str,
) -> None:
    sql = await asyncpg.connect(ledger_url)
    await sql.execute("CREATE EXTENSION pg_stat_statements")
    told: list[int] = []
    await keep_plans(sql)
    await renew_plans(sql)
    measuring = Costs(ledger_url, sql)
    try:
        await measuring.make_plans()
        await fill(ledger_url, 1, 500, told.append)
        touched = await measuring.measure(costs.BATCH, costs.BATCH)
        alone = await measuring.measure(1, costs.ALONE)
    finally:
        await measuring.close()

    assert told == [500]
    assert touched.keys() == set(VERBS)
    assert alone.keys() == set(VERBS)
    assert all(5 < buffers < 1_000 for buffers in (*touched.values(), *alone.values()))
    assert await sql.fetchval("SELECT count(*) FROM results") == 500 + 3 * (
        costs.BATCH + costs.ALONE
    )
    assert await sql.fetchval("SELECT count(*) FROM bodies_default") == 0
    await sql.close()
