"""Each final live request is counted once, however it is told."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.executor import RequestsFinished, TokenUsage
from services.billing.domain.usage import Total
from services.billing.models import BillingAccount, UsageRecord
from services.billing.ports import Ports
from services.billing.use_cases import accounts, usage
from tests.support.finished import finished

MARCH = date(2026, 3, 1)


async def counted(ports: Ports) -> int:
    async with ports.db.transaction() as tx:
        return await tx.scalar(select(func.count()).select_from(UsageRecord)) or 0


def written() -> float:
    """Batches so far."""
    labels = {"batch": "usage"}
    return REGISTRY.get_sample_value("reqrun_batch_size_items_count", labels) or 0


async def test_a_batch_told_again_changes_nothing(ports: Ports) -> None:
    event = RequestsFinished(requests=tuple(finished(number) for number in range(500)))

    for _ in range(3):
        await usage.Recorder(ports).record(event)

    [total] = await usage.show(ports, "acc_1")
    assert total == Total(
        period=MARCH,
        state="completed",
        requests=500,
        attempts=500,
        prompt_tokens=5_000,
        completion_tokens=2_500,
        total_tokens=7_500,
    )


async def test_a_request_that_is_twice_in_one_batch_counts_once(ports: Ports) -> None:
    requests = (finished(1), finished(2), finished(1))

    await usage.Recorder(ports).record(RequestsFinished(requests=requests))

    assert await counted(ports) == 2


async def test_a_batch_with_one_known_request_still_counts_the_others(ports: Ports) -> None:
    await usage.Recorder(ports).record(RequestsFinished(requests=(finished(2),)))

    requests = tuple(finished(number) for number in range(4))
    await usage.Recorder(ports).record(RequestsFinished(requests=requests))

    assert await counted(ports) == 4


async def test_the_first_telling_stands(ports: Ports) -> None:
    await usage.Recorder(ports).record(RequestsFinished(requests=(finished(1),)))
    await usage.Recorder(ports).record(RequestsFinished(requests=(finished(1, state="failed"),)))

    assert [total.state for total in await usage.show(ports, "acc_1")] == ["completed"]


async def test_test_requests_count_for_nothing(ports: Ports) -> None:
    mixed = (finished(1, mode="test"), finished(2), finished(3, mode="test"))

    await usage.Recorder(ports).record(RequestsFinished(requests=mixed))
    await usage.Recorder(ports).record(RequestsFinished(requests=(finished(4, mode="test"),)))

    assert await counted(ports) == 1


async def test_readers_of_overlapping_batches_in_any_order_neither_lose_nor_double(
    ports: Ports,
) -> None:
    chance = Random(7)  # noqa: S311  the same order in every run
    numbers = list(range(200))
    batches = []
    for _ in range(24):
        chance.shuffle(numbers)
        requests = tuple(finished(number) for number in numbers[:120])
        batches.append(RequestsFinished(requests=requests))
    batches.append(RequestsFinished(requests=tuple(finished(number) for number in numbers)))

    await asyncio.gather(*(usage.Recorder(ports).record(batch) for batch in batches))

    assert await counted(ports) == 200


async def test_events_that_come_together_are_written_together_and_each_once(ports: Ports) -> None:
    recorder = usage.Recorder(ports)
    events = [RequestsFinished(requests=(finished(n), finished(n + 1))) for n in range(100)]
    before = written()

    await asyncio.gather(*(recorder.record(event) for event in events))

    assert await counted(ports) == 101
    assert written() - before <= 10


async def test_an_event_that_cannot_be_stored_keeps_no_other_from_it(ports: Ports) -> None:
    recorder = usage.Recorder(ports)
    bad = finished(0, tokens=TokenUsage(total=2**40))
    events = [RequestsFinished(requests=(one,)) for one in (bad, *map(finished, range(1, 9)))]

    answers = await asyncio.gather(
        *(recorder.record(event) for event in events), return_exceptions=True
    )

    assert [isinstance(answer, Exception) for answer in answers] == [True] + [False] * 8
    assert await counted(ports) == 8


async def test_a_request_that_cannot_be_stored_keeps_no_other_of_its_event_from_it(
    ports: Ports,
) -> None:
    requests = (finished(1), finished(2, tokens=TokenUsage(total=2**40)), finished(3))

    with pytest.raises(DBAPIError):
        await usage.Recorder(ports).record(RequestsFinished(requests=requests))

    assert await counted(ports) == 2


async def test_the_period_is_that_of_acceptance_in_utc(ports: Ports) -> None:
    last_moment = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    east = timezone(timedelta(hours=9))
    requests = (
        finished(1, created_at=last_moment, finished_at=last_moment + timedelta(days=3)),
        finished(2, created_at=datetime(2026, 2, 1, 3, tzinfo=east)),
        finished(3, created_at=datetime(2026, 2, 1, tzinfo=UTC)),
    )

    await usage.Recorder(ports).record(RequestsFinished(requests=requests))

    totals = {total.period: total.requests for total in await usage.show(ports, "acc_1")}
    assert totals == {date(2026, 1, 1): 2, date(2026, 2, 1): 1}


async def test_totals_are_by_state_and_of_one_account_only(ports: Ports) -> None:
    requests = (
        finished(1),
        finished(2, state="failed", attempts=8, tokens=TokenUsage()),
        finished(3, state="cancelled", attempts=0, tokens=TokenUsage()),
        finished(4, account_id="acc_2"),
    )

    await usage.Recorder(ports).record(RequestsFinished(requests=requests))

    totals = await usage.show(ports, "acc_1")
    assert {total.state: (total.requests, total.attempts) for total in totals} == {
        "completed": (1, 1),
        "failed": (1, 8),
        "cancelled": (1, 0),
    }
    assert await usage.show(ports, "acc_3") == []


async def test_the_largest_values_fit(ports: Ports) -> None:
    most = 2**31 - 1
    tokens = TokenUsage(prompt=most, completion=most, total=most)
    requests = tuple(finished(number, model="é" * 128, tokens=tokens) for number in range(3))

    await usage.Recorder(ports).record(RequestsFinished(requests=requests))

    [total] = await usage.show(ports, "acc_1")
    assert total.total_tokens == 3 * most


async def test_books_are_opened_once(ports: Ports) -> None:
    for _ in range(2):
        await accounts.open_books(ports, AccountCreated(account_id="acc_1"))

    async with ports.db.transaction() as tx:
        rows = list(await tx.scalars(select(BillingAccount)))
    assert [(row.account_id, row.plan) for row in rows] == [("acc_1", "operator")]
