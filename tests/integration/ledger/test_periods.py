"""The monthly limit counts from the account's own day, and never goes back."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import pytest

from libs.common import periods
from libs.ledger.accept import Accepted, Refusal, Refused
from tests.support.ledgers import Bench, submission

FULL = Refused(Refusal.MONTHLY_LIMIT)


async def test_the_database_and_we_mean_the_same_period(ledger: Bench) -> None:
    """Every anchor, each day of four years at its first and last moment."""
    rows = await ledger.sql.fetch("""
        SELECT anchor, moment, period_start_v1(anchor, moment) AS period
        FROM generate_series(1, 31) AS anchor,
            generate_series('2026-12-30 UTC'::timestamptz, '2030-12-31 UTC', '1 day') AS day,
            unnest(ARRAY[day, day + interval '1 day' - interval '1 microsecond']) AS moment
    """)

    assert len(rows) > 90_000
    for anchor, moment, period in rows:
        assert period == periods.period_of(anchor, moment), (anchor, moment)


async def test_another_time_zone_of_the_session_changes_nothing(ledger: Bench) -> None:
    async with ledger.sql.transaction():
        await ledger.sql.execute("SET LOCAL timezone = 'Pacific/Kiritimati'")
        period = await ledger.sql.fetchval(
            "SELECT period_start_v1(15, '2027-03-14 23:59:59.999999+00')"
        )

    assert period == date(2027, 2, 15)


def anchor_of(day: date) -> int:
    """One whose period begins on that day; a month's last day may stand for the 31st."""
    return 31 if day.day == monthrange(day.year, day.month)[1] else day.day


async def test_a_new_anchor_begins_a_period_and_an_old_one_does_not_end_it(ledger: Bench) -> None:
    today = datetime.now(UTC).date()
    earlier = anchor_of(today - timedelta(days=9))
    both = submission(monthly_limit=1, anchor_day=earlier)
    assert isinstance(await ledger.gateway.accept(both), Accepted)
    assert await ledger.gateway.accept(submission(monthly_limit=1, anchor_day=earlier)) == FULL

    begun_today = {"monthly_limit": 2, "anchor_day": anchor_of(today)}
    assert isinstance(await ledger.gateway.accept(submission(**begun_today)), Accepted)
    # Another gateway does not know yet: what it accepts counts in the later period.
    unaware = {"monthly_limit": 2, "anchor_day": earlier}
    assert isinstance(await ledger.gateway.accept(submission(**unaware)), Accepted)
    assert await ledger.gateway.accept(submission(**begun_today)) == FULL
    assert await ledger.gateway.accept(submission(**unaware)) == FULL
    period = await ledger.sql.fetchval("SELECT period FROM account_counters")
    assert period == today


@pytest.mark.parametrize("is_over", [True, False], ids=["over", "not-over"])
async def test_the_count_starts_anew_when_the_anchored_period_is_over(
    ledger: Bench, *, is_over: bool
) -> None:
    today = datetime.now(UTC).date()
    anchor = anchor_of(today - timedelta(days=5))
    await ledger.gateway.accept(submission(monthly_limit=1, anchor_day=anchor))
    begins_on = periods.period_of(anchor, datetime.now(UTC))
    counted = begins_on - timedelta(days=1) if is_over else begins_on
    await ledger.sql.execute("UPDATE account_counters SET period = $1", counted)

    before = await ledger.gateway.read_counters("acc_a", anchor)
    verdict = await ledger.gateway.accept(submission(monthly_limit=1, anchor_day=anchor))

    assert isinstance(verdict, Accepted) is is_over
    assert before.accepted == (0 if is_over else 1)
    assert before.resets_at == periods.resets_at(anchor, datetime.now(UTC))
    assert (await ledger.gateway.read_counters("acc_a", anchor)).accepted == 1


async def test_each_account_of_a_batch_has_its_own_period(ledger: Bench) -> None:
    today = datetime.now(UTC).date()
    anchors = {"acc_a": anchor_of(today), "acc_b": anchor_of(today - timedelta(days=3)), "acc_c": 1}
    for account, anchor in anchors.items():
        await ledger.gateway.accept(submission(account_id=account, anchor_day=anchor))

    found = await ledger.sql.fetch("SELECT account_id, period FROM account_counters")

    now = datetime.now(UTC)
    assert {row["account_id"]: row["period"] for row in found} == {
        account: periods.period_of(anchor, now) for account, anchor in anchors.items()
    }
