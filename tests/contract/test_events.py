"""Every event's bytes, held to a golden file; every event has a reader; tolerant reading."""

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from libs.common.broker.topology import QUEUES
from libs.common.contracts.accounts import (
    AccountCreated,
    AccountDeleted,
    AccountDeletionStarted,
    ProjectDeleted,
    ProjectPaused,
    ProjectResumed,
)
from libs.common.contracts.billing import (
    PaymentFailed,
    PlanChanged,
    SubscriptionEnded,
    UsageThresholdReached,
)
from libs.common.contracts.event import Event, decoder, encode, routing_key
from libs.common.contracts.executor import (
    FinishedRequest,
    RequestsFinished,
    TokenUsage,
    join_finished,
)
from libs.common.contracts.plans import PlanName

GOLDEN = Path(__file__).parent / "golden"

EVENTS: tuple[Event, ...] = (
    AccountCreated(account_id="acc_01jd0000000000000000000000", plan="free"),
    PlanChanged(
        account_id="acc_01jd0000000000000000000000",
        plan=PlanName.PRO,
        anchor_day=23,
        version=2,
    ),
    UsageThresholdReached(
        account_id="acc_01jd0000000000000000000000",
        percent=80,
        period=date(2026, 11, 23),
        resets_on=date(2026, 12, 23),
        used=80_000,
        allowed=100_000,
    ),
    PaymentFailed(
        account_id="acc_01jd0000000000000000000000",
        transaction_id="txn_01jd0000000000000000000000",
        amount=4900,
        currency="EUR",
        grace_ends_at=datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC),
    ),
    SubscriptionEnded(
        account_id="acc_01jd0000000000000000000000",
        subscription_id="sub_01jd0000000000000000000000",
        ended_plan=PlanName.PRO,
        plan=PlanName.FREE,
    ),
    AccountDeletionStarted(
        account_id="acc_01jd0000000000000000000000",
        project_ids=("prj_01jd0000000000000000000000", "prj_01jd0000000000000000000001"),
    ),
    AccountDeleted(
        account_id="acc_01jd0000000000000000000000",
        project_ids=("prj_01jd0000000000000000000000", "prj_01jd0000000000000000000001"),
    ),
    ProjectPaused(project_id="prj_01jd0000000000000000000000"),
    ProjectResumed(project_id="prj_01jd0000000000000000000000"),
    ProjectDeleted(project_id="prj_01jd0000000000000000000000"),
    RequestsFinished(
        requests=(
            FinishedRequest(
                id="rr_01jd0000000000000000000000",
                account_id="acc_01jd0000000000000000000000",
                project_id="prj_01jd0000000000000000000000",
                mode="live",
                endpoint="chat/completions",
                model="gpt-5-nano",
                state="completed",
                attempts=2,
                created_at=datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC),
                finished_at=datetime(2026, 11, 22, 12, 0, 1, 500_000, tzinfo=UTC),
                tokens=TokenUsage(prompt=3, completion=4, total=7),
            ),
        )
    ),
)


def kinds() -> set[type[Event]]:
    return set(Event.__subclasses__())


@pytest.mark.parametrize("event", EVENTS, ids=routing_key)
def test_an_events_bytes_are_the_golden_ones(event: Event) -> None:
    golden = (GOLDEN / f"{routing_key(event)}.json").read_bytes().rstrip(b"\n")

    assert encode(event) == golden
    assert decoder([type(event)])(golden) == event


def test_every_event_has_an_example_here() -> None:
    ours = {kind for kind in kinds() if kind.__module__.startswith("libs.")}

    assert ours == {type(event) for event in EVENTS}


@pytest.mark.parametrize("event", EVENTS, ids=routing_key)
def test_every_event_has_a_queue(event: Event) -> None:
    assert any(routing_key(event) in queue.keys for queue in QUEUES)


def test_every_bound_key_is_an_event_or_a_hint() -> None:
    known = {routing_key(event) for event in EVENTS} | {"work.first", "work.rest"}

    assert {key for queue in QUEUES for key in queue.keys} == known


@pytest.mark.parametrize("event", EVENTS, ids=routing_key)
def test_a_field_that_a_reader_does_not_know_breaks_nobody(event: Event) -> None:
    more = encode(event).replace(b"{", b'{"added_later":[1,{"a":null}],', 1)

    assert decoder([type(event)])(more) == event


def test_joined_ends_of_requests_read_as_one_event_that_tells_them_all() -> None:
    [one] = [event for event in EVENTS if isinstance(event, RequestsFinished)]
    [first] = one.requests
    second = msgspec.structs.replace(first, id="rr_01jd0000000000000000000001", state="failed")
    two = RequestsFinished(requests=(second, second))

    joined = decoder([RequestsFinished])(join_finished([encode(one), encode(two)]))

    assert joined == RequestsFinished(requests=(first, second, second))
