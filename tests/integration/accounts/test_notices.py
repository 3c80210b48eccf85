"""What billing tells by mail: once, to who wants it or must know it, to nobody who is gone."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.billing import (
    PaymentFailed,
    SubscriptionEnded,
    TaxDetails,
    UsageThresholdReached,
)
from libs.common.contracts.plans import PlanName
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import BillingAway
from services.accounts.models import Person
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, deletion, notices, plans, profile, projects
from tests.support.billing_stand_in import BillingStandIn
from tests.support.customers import NETWORK, customer, mails_to
from tests.support.frozen_clock import FrozenClock
from tests.support.plans import plan_changed

EMAIL = "ada@example.org"
PAYER = "invoices@example.org"
GRACE = datetime(2026, 3, 12, 9, 30, tzinfo=UTC)


@pytest.fixture
def billing() -> BillingStandIn:
    return BillingStandIn()


@pytest.fixture
def beside(ports: Ports, billing: BillingStandIn) -> Ports:
    """With a billing that answers."""
    return msgspec.structs.replace(ports, billing=billing)


@pytest.fixture
async def person(ports: Ports) -> Person:
    """Somebody who wants notices."""
    made = (await customer(ports, EMAIL)).person
    return await profile.set_notices(ports, made.id, NETWORK, wanted=True)


def reached(person: Person, percent: Any = 80, period: date = date(2026, 3, 1)) -> Any:
    return UsageThresholdReached(
        account_id=person.account_id,
        percent=percent,
        period=period,
        resets_on=date(2026, 4, 1),
        used=80_000,
        allowed=100_000,
    )


def failed(person: Person, transaction: str = "txn_1") -> PaymentFailed:
    return PaymentFailed(
        account_id=person.account_id,
        transaction_id=transaction,
        amount=2900,
        currency="EUR",
        grace_ends_at=GRACE,
    )


def ended(person: Person) -> SubscriptionEnded:
    return SubscriptionEnded(
        account_id=person.account_id,
        subscription_id="sub_1",
        ended_plan=PlanName.PRO,
        plan=PlanName.FREE,
    )


async def told(ports: Ports, to: str, kind: str) -> list[str]:
    return [mail.text for mail in await mails_to(ports, to) if mail.kind == kind]


async def due_at(ports: Ports, person: Person) -> datetime | None:
    return (await accounts.get(ports, person.account_id)).payment_due_at


async def test_each_share_of_a_period_is_told_once(ports: Ports, person: Person) -> None:
    april = reached(person, period=date(2026, 4, 1))
    for event in (reached(person), reached(person, 100), reached(person), april):
        await notices.tell_usage(ports, event)

    first, full, later = await told(ports, EMAIL, "usage_notice")
    assert "80,000 of the 100,000 requests" in first
    assert "1 April 2026" in first
    assert "refused until then" in full
    assert "refused until then" not in later


async def test_who_wants_no_notices_gets_none_and_not_later_either(
    ports: Ports, person: Person
) -> None:
    await profile.set_notices(ports, person.id, NETWORK, wanted=False)
    await notices.tell_usage(ports, reached(person))
    await profile.set_notices(ports, person.id, NETWORK, wanted=True)
    await notices.tell_usage(ports, reached(person))

    assert await told(ports, EMAIL, "usage_notice") == []


async def test_a_failed_payment_is_told_to_who_logs_in_and_who_pays(
    beside: Ports, person: Person, billing: BillingStandIn
) -> None:
    billing.set(person.account_id, details=TaxDetails(email=PAYER))
    for transaction in ("txn_1", "txn_1", "txn_2"):
        await notices.tell_failed_payment(beside, failed(person, transaction))

    for recipient in (EMAIL, PAYER):
        first, _ = await told(beside, recipient, "payment_failed")
        assert "a payment of EUR 29.00" in first
        assert "12 March 2026" in first
        # Anybody may have typed the payer's address: nothing that a customer wrote goes there.
        assert (person.name in first) == (recipient == EMAIL)
    assert await due_at(beside, person) == GRACE


async def test_one_address_gets_one_mail(
    beside: Ports, person: Person, billing: BillingStandIn
) -> None:
    billing.set(person.account_id, details=TaxDetails(email="ADA@example.org"))
    await notices.tell_failed_payment(beside, failed(person))

    assert len(await told(beside, EMAIL, "payment_failed")) == 1
    assert await told(beside, "ADA@example.org", "payment_failed") == []


async def test_while_billing_is_away_the_person_is_told_and_the_payer_when_it_is_back(
    beside: Ports, person: Person, billing: BillingStandIn
) -> None:
    billing.set(person.account_id, details=TaxDetails(email=PAYER))
    billing.refusal = BillingAway()
    with pytest.raises(BillingAway):
        await notices.tell_failed_payment(beside, failed(person))
    assert len(await told(beside, EMAIL, "payment_failed")) == 1

    billing.refusal = None
    await notices.tell_failed_payment(beside, failed(person))
    assert len(await told(beside, EMAIL, "payment_failed")) == 1
    assert len(await told(beside, PAYER, "payment_failed")) == 1


async def test_the_end_is_told_once_with_what_changes_and_what_stays(
    beside: Ports, person: Person
) -> None:
    await plans.take(beside, plan_changed(person.account_id, PlanName.PRO))
    for name in ("One", "Two"):
        await projects.create(beside, person.account_id, name, actor=OPERATOR)
    await notices.tell_failed_payment(beside, failed(person))
    for _ in range(2):
        await notices.tell_end(beside, ended(person))

    [text] = await told(beside, EMAIL, "subscription_ended")
    assert "your Pro plan has ended" in text
    assert "- 1,000 live requests a month, not 100,000." in text
    assert "You have 2: all of them stay" in text
    assert "nothing of them is deleted" in text
    assert await due_at(beside, person) is None


async def test_of_an_account_that_was_erased_nobody_is_told_anything(
    beside: Ports, person: Person, billing: BillingStandIn, clock: FrozenClock
) -> None:
    billing.set(person.account_id, details=TaxDetails(email=PAYER))
    await deletion.start(beside, person.id, actor=OPERATOR)
    clock.advance(timedelta(days=8))
    assert await deletion.carry_out_due(beside) == 1
    await notices.tell_usage(beside, reached(person))
    await notices.tell_failed_payment(beside, failed(person))
    await notices.tell_end(beside, ended(person))

    assert [mail.kind for mail in await mails_to(beside, EMAIL)] == ["deleted"]
    assert await mails_to(beside, PAYER) == []
