"""The books are compared with the ledger; what is missing is recorded, what is too much is told."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select

from libs.common.contracts.accounts import AccountDeleted
from libs.common.contracts.executor import FinishedRequest, RequestsFinished
from libs.common.errors import InvalidInput
from services.billing.domain.drift import Drift, LedgerAway, LedgerUnknown
from services.billing.models import Night, UsageRecord
from services.billing.ports import Ports
from services.billing.repositories.nights import NightRepository
from services.billing.use_cases import accounts, nightly, nights, reconciling, usage
from tests.support import catalogue
from tests.support.finished import finished
from tests.support.frozen_clock import FrozenClock
from tests.support.usage_stand_in import UsageStandIn
from tests.support.waiting import until

DAY = finished(0).created_at.date()
NOW = datetime(2026, 3, 15, 3, tzinfo=UTC)


@pytest.fixture
def ledger() -> UsageStandIn:
    return UsageStandIn(page=7)


@pytest.fixture
def books(ports: Ports, ledger: UsageStandIn) -> Ports:
    """Ours, with a ledger to compare them with; it is the night after that day."""
    return msgspec.structs.replace(ports, clock=FrozenClock(NOW), ledger=ledger)


async def tell(ports: Ports, *requests: FinishedRequest) -> None:
    await usage.Recorder(ports).record(RequestsFinished(requests=requests))


async def counted(ports: Ports) -> int:
    async with ports.db.transaction() as tx:
        return await tx.scalar(select(func.count()).select_from(UsageRecord)) or 0


def some(first: int, last: int, **changes: Any) -> list[FinishedRequest]:
    return [finished(number, **changes) for number in range(first, last)]


async def compare(ports: Ports, *, is_repairing: bool = False) -> list[Drift]:
    found = await reconciling.reconcile(ports, DAY, DAY, is_repairing=is_repairing)
    return found.drifts


async def test_what_agrees_has_no_drift_and_the_sums_are_told(
    books: Ports, ledger: UsageStandIn
) -> None:
    ledger.requests = [
        *some(0, 20), *some(20, 25, state="failed"), *some(25, 30, account_id="acc_2")
    ]  # fmt: skip
    ledger.open = {"acc_1": 3}
    await tell(books, *ledger.requests)

    found = await reconciling.reconcile(books, DAY, DAY, is_repairing=False)

    assert (found.drifts, found.left, found.accounts) == ([], 0, 2)
    assert (found.accepted, found.completed, found.failed, found.open) == (33, 25, 5, 3)
    assert ledger.details == 0


async def test_records_that_were_lost_are_found_and_recorded_again(
    books: Ports, ledger: UsageStandIn, billing_address: str
) -> None:
    ledger.requests = [*some(0, 40), *some(40, 50, account_id="acc_2")]
    await tell(books, *(one for one in ledger.requests if one.id not in lost(7, 33, 41)))

    assert await compare(books) == [
        Drift(account_id="acc_1", day=DAY, missing=2),
        Drift(account_id="acc_2", day=DAY, missing=1),
    ]
    assert await counted(books) == 47
    repaired = await compare(books, is_repairing=True)
    assert [(drift.missing, drift.repaired, drift.left) for drift in repaired] == [
        (2, 2, 0),
        (1, 1, 0),
    ]
    assert await counted(books) == 50
    assert await compare(books) == []
    left = await catalogue.text_of(billing_address)
    assert left.count("usage_account_days: (acc_1") == 1


def lost(*numbers: int) -> set[str]:
    return {finished(number).id for number in numbers}


async def test_a_record_that_the_ledger_does_not_know_is_told_and_stays(
    books: Ports, ledger: UsageStandIn
) -> None:
    ledger.requests = some(0, 10)
    await tell(books, *some(0, 11), *some(90, 92, account_id="acc_9"))

    assert await compare(books, is_repairing=True) == [
        Drift(account_id="acc_1", day=DAY, foreign=1),
        Drift(account_id="acc_9", day=DAY, foreign=2),
    ]
    assert await counted(books) == 13


async def test_other_tokens_or_another_state_are_told(books: Ports, ledger: UsageStandIn) -> None:
    ledger.requests = some(0, 10)
    wrong = msgspec.structs.replace(finished(3), state="failed")
    none = msgspec.structs.replace(finished(4), tokens=type(wrong.tokens)())
    await tell(books, *some(0, 3), wrong, none, *some(5, 10))

    [drift] = await compare(books, is_repairing=True)

    assert (drift.different, drift.left, drift.missing) == (2, 2, 0)


async def test_a_ledger_that_does_not_add_up_is_told(books: Ports, ledger: UsageStandIn) -> None:
    ledger.requests = some(0, 10)
    ledger.vanished = {"acc_1": 2}
    await tell(books, *ledger.requests)

    assert await compare(books) == [Drift(account_id="acc_1", day=DAY, unsound=2)]


async def test_what_ended_just_now_is_on_its_way_and_no_drift(
    books: Ports, ledger: UsageStandIn
) -> None:
    just_now = NOW - timedelta(minutes=14)
    ledger.requests = [*some(0, 5), *some(5, 6, finished_at=just_now)]
    await tell(books, *some(0, 5), *some(6, 7, finished_at=just_now))

    assert await compare(books, is_repairing=True) == []


async def test_deleted_accounts_and_those_being_erased_are_left_out(
    books: Ports, ledger: UsageStandIn
) -> None:
    ledger.requests = [*some(0, 5, account_id="acc_deleted"), *some(5, 9)]
    ledger.erasing = ["acc_erasing"]
    await tell(books, *some(5, 9), *some(10, 14, account_id="acc_erasing"))
    await accounts.close_books(books, AccountDeleted(account_id="acc_deleted", project_ids=()))

    assert await compare(books, is_repairing=True) == []
    assert await counted(books) == 8


async def test_of_older_days_what_has_left_the_ledger_is_no_drift_and_what_is_missing_is(
    books: Ports, ledger: UsageStandIn
) -> None:
    assert isinstance(books.clock, FrozenClock)
    ledger.requests = some(5, 11)
    await tell(books, *some(0, 10))
    books.clock.advance(timedelta(days=2))

    # Its totals say nothing: five left, one is missing. It is looked for where the sums are less.
    assert await compare(books, is_repairing=True) == []
    ledger.requests = some(0, 11)
    [drift] = await compare(books, is_repairing=True)

    assert (drift.missing, drift.foreign, drift.left) == (1, 0, 0)


async def test_each_night_one_worker_repairs_and_all_show_what_is_left(
    books: Ports, ledger: UsageStandIn
) -> None:
    assert isinstance(books.clock, FrozenClock)
    ledger.requests = some(0, 10)
    await tell(books, *some(0, 8), *some(20, 23))
    books.clock.advance(timedelta(hours=-2))
    assert not await nights.pass_night(books)  # it is one o'clock
    books.clock.advance(timedelta(hours=2))

    assert [await nights.pass_night(books) for _ in range(3)] == [True, False, False]
    assert await counted(books) == 13
    async with books.db.transaction() as tx:
        assert await NightRepository(tx).drift(nights.NIGHT.name) == 3
    books.clock.advance(timedelta(days=1))
    assert await nights.pass_night(books)


def late() -> timedelta:
    """What the gauge says."""
    labels = {"night": nights.NIGHT.name}
    return timedelta(seconds=REGISTRY.get_sample_value("reqrun_night_late_seconds", labels) or 0)


async def test_a_night_that_could_not_be_ended_is_taken_again(
    books: Ports, ledger: UsageStandIn
) -> None:
    assert isinstance(books.clock, FrozenClock)
    ledger.requests = some(0, 10)
    ledger.is_away = True
    with pytest.raises(LedgerAway):
        await nights.pass_night(books)
    await nightly.show(nights.NIGHT, books)
    assert late() == timedelta(hours=1)  # it is three o'clock
    ledger.is_away = False
    assert not await nights.pass_night(books)

    books.clock.advance(nightly.AGAIN + timedelta(seconds=1))

    assert await nights.pass_night(books)
    assert await counted(books) == 10
    await nightly.show(nights.NIGHT, books)
    assert late() == timedelta(0)


async def test_a_night_that_takes_long_is_not_taken_by_another_worker(
    books: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(books.clock, FrozenClock)
    monkeypatch.setattr(nightly, "STAY_EVERY", timedelta(milliseconds=20))
    began, ends = asyncio.Event(), asyncio.Event()

    async def take_long(_: Ports) -> int:
        began.set()
        await ends.wait()
        return 0

    night = msgspec.structs.replace(nights.NIGHT, work=take_long)
    worker = asyncio.create_task(nightly.work(night, books))
    await began.wait()
    books.clock.advance(timedelta(hours=3))
    now = books.clock.now()

    async def is_held() -> bool:
        async with books.db.transaction() as tx:
            return await tx.scalar(select(Night.begun_at).where(Night.name == night.name)) == now

    await until(is_held)
    assert not await nightly.work(nights.NIGHT, books)
    ends.set()
    assert await worker


async def test_without_a_gateway_there_is_nothing_to_compare_with(ports: Ports) -> None:
    with pytest.raises(LedgerUnknown):
        await reconciling.reconcile(ports, DAY, DAY, is_repairing=False)
    assert not await nights.pass_night(ports)


async def test_days_in_the_wrong_order_are_refused_instead_of_agreeing(books: Ports) -> None:
    with pytest.raises(InvalidInput):
        await reconciling.reconcile(books, DAY, DAY - timedelta(days=1), is_repairing=False)
