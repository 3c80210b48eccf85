"""A deleted account's usage stays as sums; nothing of projects, models or single requests does."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from libs.common import retention
from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from libs.common.contracts.executor import RequestsFinished
from services.billing.models import BillingAccount, UsageRecord, UsageSum
from services.billing.ports import Ports
from services.billing.use_cases import accounts, closing, usage
from tests.support import catalogue
from tests.support.finished import finished
from tests.support.frozen_clock import FrozenClock

GONE = AccountDeleted(account_id="acc_1", project_ids=("prj_1",))


@pytest.fixture
def clock(ports: Ports) -> FrozenClock:
    assert isinstance(ports.clock, FrozenClock)
    return ports.clock


async def record(ports: Ports, *numbers: int) -> None:
    requests = tuple(finished(number) for number in numbers)
    await usage.Recorder(ports).record(RequestsFinished(requests=requests))


async def counts(ports: Ports) -> tuple[int, int]:
    async with ports.db.transaction() as tx:
        records = await tx.scalar(select(func.count()).select_from(UsageRecord))
        sums = await tx.scalar(select(func.count()).select_from(UsageSum))
    return records or 0, sums or 0


async def test_every_table_has_a_window_or_a_reason(billing_address: str) -> None:
    assert await catalogue.tables(billing_address) == set(retention.BILLING)


async def test_a_day_after_the_deletion_records_are_sums_and_say_the_same(
    ports: Ports, clock: FrozenClock, billing_address: str
) -> None:
    await accounts.open_books(ports, AccountCreated(account_id="acc_1"))
    await record(ports, *range(50))
    before = await usage.show(ports, "acc_1")
    await accounts.close_books(ports, GONE)
    clock.advance(timedelta(hours=23))
    assert await closing.sum_up(ports) == 0

    clock.advance(timedelta(hours=1))
    assert await closing.sum_up(ports) == 50

    assert await counts(ports) == (0, 1)
    assert await usage.show(ports, "acc_1") == before
    left = await catalogue.text_of(billing_address)
    request = finished(1)
    assert not any(one in left for one in (request.id, request.project_id, request.model))


async def test_another_accounts_usage_stays_as_it_was(ports: Ports, clock: FrozenClock) -> None:
    await record(ports, 1)
    await accounts.close_books(
        ports, AccountDeleted(account_id="acc_other", project_ids=("prj_other",))
    )
    clock.advance(timedelta(days=2))

    assert await closing.sum_up(ports) == 0
    assert await counts(ports) == (1, 0)


async def test_told_twice_or_before_the_creation_it_is_closed_once(
    ports: Ports, clock: FrozenClock
) -> None:
    await accounts.close_books(ports, GONE)
    first = clock.now()
    clock.advance(timedelta(hours=5))
    await accounts.close_books(ports, GONE)
    await accounts.open_books(ports, AccountCreated(account_id="acc_1"))

    async with ports.db.transaction() as tx:
        [account] = list(await tx.scalars(select(BillingAccount)))
    assert account.closed_at == first


async def test_usage_that_is_told_late_or_again_within_the_day_is_counted_once(
    ports: Ports, clock: FrozenClock
) -> None:
    await record(ports, 1, 2)
    await accounts.close_books(ports, GONE)
    clock.advance(timedelta(hours=20))
    await record(ports, 2, 3)
    clock.advance(timedelta(hours=4))
    assert await closing.sum_up(ports) == 3
    await record(ports, 4)
    assert await closing.sum_up(ports) == 1

    [total] = await usage.show(ports, "acc_1")
    assert total.requests == 4


async def test_many_records_go_batch_by_batch(
    ports: Ports, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "BATCH", 20)
    await record(ports, *range(50))
    await accounts.close_books(ports, GONE)
    clock.advance(timedelta(days=1))

    assert await closing.sum_up(ports) == 50
    assert await counts(ports) == (0, 1)


async def test_usage_goes_after_ten_years_and_no_sooner_whatever_is_asked(
    ports: Ports, billing_address: str
) -> None:
    await record(ports, 1, 2)
    await catalogue.execute(
        billing_address,
        "UPDATE usage_records SET period = '2015-01-01' WHERE request_id = $1",
        finished(1).id,
    )

    assert await closing.drop_old(ports) == 1
    async with ports.db.transaction() as tx:
        assert await tx.scalar(text("SELECT drop_old_usage_v2('2100-01-01', 100)")) == 0
    assert await counts(ports) == (1, 0)
