"""What no webhook brought, or somebody changed here, is found by asking Paddle, and repaired."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import text

from deploy.local.paddle.faults import Fault
from libs.common.contracts.accounts import AccountCreated
from libs.common.contracts.billing import CheckoutQuestion, PlanChangeQuestion
from libs.common.contracts.plans import PlanName
from services.billing.api import commands
from services.billing.domain.paddle import PaddleAway
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository
from services.billing.use_cases import accounts, checkout, nightly, paddle_nights, plan_changes
from services.billing.use_cases.paddle_reconciling import PaddleReconciliation, reconcile
from tests.support.frozen_clock import FrozenClock
from tests.support.paddle import PRICES, PaddleStandIn, paddle
from tests.support.paddle_inbox import deliver, process_all


@pytest.fixture
async def stand_in() -> AsyncIterator[PaddleStandIn]:
    async with paddle() as running:
        yield running


@pytest.fixture
async def shop(ports: Ports, stand_in: PaddleStandIn) -> Ports:
    clock = FrozenClock(datetime.now(UTC) + timedelta(minutes=1))  # after what Paddle tells
    selling = msgspec.structs.replace(ports, paddle=stand_in.api, prices=PRICES, clock=clock)
    await accounts.open_books(selling, AccountCreated(account_id="acc_1", plan="free"))
    return selling


@pytest.fixture
async def bought(shop: Ports, stand_in: PaddleStandIn) -> str:
    """A subscription of which no webhook told."""
    question = CheckoutQuestion(
        plan=PlanName.PRO, email="who@example.com", return_url="http://127.0.0.1/billing"
    )
    stand_in.pay((await checkout.start(shop, "acc_1", question)).url)
    return str(stand_in.shop.store.all("subscription")[0]["id"])


async def _plan(ports: Ports) -> str:
    async with ports.db.transaction() as tx:
        return (await BillingAccountRepository(tx).get("acc_1")).plan


async def _sql(ports: Ports, statement: str) -> None:
    async with ports.db.transaction() as tx:
        await tx.execute(text(statement))


def _whats(found: PaddleReconciliation) -> list[tuple[str, str, bool]]:
    return [(drift.family, drift.what, drift.is_repaired) for drift in found.drifts]


async def test_a_purchase_that_no_webhook_told_is_found_and_gives_its_plan(
    shop: Ports, bought: str
) -> None:
    dry = await reconcile(shop, is_repairing=False)
    assert _whats(dry) == [("subscription", "missing", False), ("transaction", "missing", False)]
    assert dry.left == 2
    assert await _plan(shop) == "free"

    found = await reconcile(shop, is_repairing=True)
    assert found.drifts[0].id == bought
    assert found.left == 0
    assert await _plan(shop) == "pro"

    agreed = await reconcile(shop, is_repairing=True)
    assert (agreed.subscriptions, agreed.transactions, agreed.drifts) == (1, 1, [])


@pytest.mark.parametrize(
    ("damage", "family", "what"),
    [
        ("UPDATE subscriptions SET state = 'canceled'", "subscription", "state"),
        (
            "UPDATE subscriptions SET price_ids = '{}', pays_until = NULL",
            "subscription",
            "pays_until, price_ids",
        ),
        ("UPDATE transactions SET total = 1", "transaction", "total"),
        ("UPDATE transactions SET id = 'txn_other'", "transaction", "missing"),
    ],
    ids=["state", "price", "total", "row"],
)
@pytest.mark.usefixtures("bought")
async def test_what_somebody_changed_here_is_found_by_its_name_and_repaired(
    shop: Ports, stand_in: PaddleStandIn, damage: str, family: str, what: str
) -> None:
    # What webhooks told is later than Paddle's own `updated_at`: the repair must win all the same.
    await deliver(shop, *(msgspec.json.encode(event) for event in stand_in.events()))
    await process_all(shop)
    await _sql(shop, damage)
    found = await reconcile(shop, is_repairing=True)
    assert _whats(found) == [(family, what, True)]
    assert (await reconcile(shop, is_repairing=False)).drifts == []
    assert await _plan(shop) == "pro"


async def test_refunds_and_later_changes_come_in_too(
    shop: Ports, stand_in: PaddleStandIn, bought: str
) -> None:
    await reconcile(shop, is_repairing=True)
    question = PlanChangeQuestion(plan=PlanName.SCALE, is_preview=False)
    await plan_changes.change(shop, "acc_1", question)
    stand_in.shop.refund(stand_in.shop.store.all("transaction")[-1])
    found = await reconcile(shop, is_repairing=True)
    assert {drift.family for drift in found.drifts} == {
        "subscription",
        "transaction",
        "adjustment",
    }
    assert found.left == 0
    assert await _plan(shop) == "scale"
    assert bought


async def test_a_webhook_that_comes_after_the_repair_changes_nothing_for_the_worse(
    shop: Ports, stand_in: PaddleStandIn, bought: str
) -> None:
    await stand_in.api.cancel(bought, at_once=True)
    await reconcile(shop, is_repairing=True)
    assert await _plan(shop) == "free"
    await deliver(shop, *(msgspec.json.encode(event) for event in stand_in.events()))
    await process_all(shop)
    assert await _plan(shop) == "free"
    assert (await reconcile(shop, is_repairing=False)).drifts == []


async def test_a_subscription_that_paddle_does_not_know_is_told_and_stays(
    shop: Ports, bought: str
) -> None:
    await reconcile(shop, is_repairing=True)
    await _sql(shop, f"UPDATE subscriptions SET id = 'sub_other' WHERE id = '{bought}'")  # noqa: S608
    found = await reconcile(shop, is_repairing=True)
    assert _whats(found) == [
        ("subscription", "missing", True),
        ("subscription", "unknown to Paddle", False),
    ]
    assert found.left == 1


async def test_one_worker_a_night_does_it_and_the_gauge_says_what_is_left(
    shop: Ports, stand_in: PaddleStandIn, bought: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = shop.clock
    assert isinstance(clock, FrozenClock)
    clock.advance(timedelta(hours=(paddle_nights.NIGHT.hour - clock.now().hour) % 24))
    assert await paddle_nights.pass_night(shop)
    assert await _plan(shop) == "pro"
    assert not await paddle_nights.pass_night(shop)
    clock.advance(timedelta(days=1))
    stand_in.plan(Fault(kind="wrong", count=1_000))
    monkeypatch.setattr("services.billing.adapters.paddle.api.LISTING_SECONDS", 1.0)
    with pytest.raises(PaddleAway):
        await paddle_nights.pass_night(shop)
    clock.advance(nightly.AGAIN + timedelta(minutes=1))
    stand_in.plan()
    assert await paddle_nights.pass_night(shop)
    assert bought


async def test_the_operator_sees_what_was_otherwise(shop: Ports, bought: str) -> None:
    given = commands.parser().parse_args(["paddle", "reconcile", "--dry-run", "--json"])
    answer = await given.call(shop, given)
    assert answer.left == 2
    assert bought in str(answer)
