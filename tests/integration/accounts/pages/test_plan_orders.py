"""Ordering another plan: what changes is said first, twice sent is once done, all written down."""

import re

import pytest

from libs.common.contracts.billing import (
    CancelQuestion,
    CheckoutQuestion,
    LinkAnswer,
    PlanChangeQuestion,
)
from libs.common.contracts.plans import PlanName
from libs.common.errors import Conflict
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import BillingAway
from services.accounts.models import Person
from services.accounts.use_cases import plans, projects
from tests.support import people
from tests.support.billing_stand_in import PAY_PAGE, PORTAL, subscription
from tests.support.dashboard import Browser, Dashboard, Page
from tests.support.plans import plan_changed

ORDERS = (
    "/billing/plans/pro/checkout",
    "/billing/plans/scale/change",
    "/billing/portal",
    "/billing/cancel",
    "/billing/keep",
    "/billing/details",
)


@pytest.fixture
async def owner(dashboard: Dashboard, ada: Browser) -> Person:
    """Ada, on Free, where plans are sold."""
    assert ada
    found = await people.person(dashboard.ports, "ada@example.org")
    await plans.take(dashboard.ports, plan_changed(found.account_id, PlanName.FREE))
    return found


@pytest.fixture
async def payer(dashboard: Dashboard, owner: Person) -> Person:
    """She has bought Pro."""
    await plans.take(dashboard.ports, plan_changed(owner.account_id, PlanName.PRO, version=2))
    bought = subscription(PlanName.PRO)
    dashboard.billing.set(owner.account_id, plan=PlanName.PRO, subscription=bought)
    return owner


def leads_to(page: Page) -> str:
    """Where the page sends the browser on to."""
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.html)
    assert found is not None, page.text
    return found[1]


async def test_a_checkout_begins_after_what_changes_was_said(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    all_of_them = await ada.get("/billing/plans")
    assert "EUR 29.00 a month" in all_of_them.text
    assert "Free your plan" in all_of_them.text

    said = await ada.get("/billing/plans/pro")
    assert "100,000 live requests a month, not 1,000." in said.text
    assert "Less than now" not in said.text
    leaving = await ada.send(said, "/billing/plans/pro/checkout")

    assert leads_to(leaving) == PAY_PAGE
    assert f'href="{PAY_PAGE}"' in leaving.html
    question = CheckoutQuestion(
        plan=PlanName.PRO,
        email="ada@example.org",
        return_url=f"{dashboard.ports.base_url}/billing/thanks?plan=pro",
    )
    assert dashboard.billing.orders == [("checkout", owner.account_id, question)]
    assert "A checkout was begun" in (await ada.get("/audit?group=money")).text


async def test_who_has_not_proven_their_address_does_not_buy_with_it(
    dashboard: Dashboard,
) -> None:
    stranger = await people.signed_up(dashboard.ports, email="victim@example.org")
    await plans.take(dashboard.ports, plan_changed(stranger.account_id, PlanName.FREE))
    browser = dashboard.browser()
    await browser.log_in(stranger.email, people.PASSWORD)
    said = await browser.get("/billing/plans/pro")

    refused = await browser.send(said, "/billing/plans/pro/checkout")

    assert "Verify your e-mail address first" in refused.text
    assert dashboard.billing.orders == []


async def test_back_from_the_checkout_the_page_says_when_the_plan_is_there(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    waiting = await ada.get("/billing/thanks?plan=pro")
    assert "Your plan changes in a moment" in waiting.text
    assert 'hx-get="/billing/thanks/now?plan=pro&amp;looks=1"' in waiting.html
    assert "<noscript><meta" in waiting.html
    late = await ada.get("/billing/thanks?plan=pro&looks=50")
    assert "It takes longer than usual" in late.text
    assert "hx-get" not in late.html

    await plans.take(dashboard.ports, plan_changed(owner.account_id, PlanName.PRO, version=2))
    part = await ada.get("/billing/thanks/now?plan=pro&looks=1", headers={"hx-request": "true"})
    assert "You are on Pro" in part.text
    assert "hx-get" not in part.html
    for odd in ("gold", "", "%00"):
        assert (await ada.get(f"/billing/thanks?plan={odd}")).path == "/billing"
    assert (await ada.get("/billing/thanks?plan=pro&looks=x")).status == 200


async def test_a_larger_plan_is_ordered_with_its_cost_in_sight(
    dashboard: Dashboard, ada: Browser, payer: Person
) -> None:
    said = await ada.get("/billing/plans/scale")
    assert "Charged now EUR 149.50" in said.text
    assert "Then each billing period EUR 299.00, from 01 Apr 2026 on" in said.text
    assert dashboard.billing.orders == []

    done = await ada.send(said, "/billing/plans/scale/change")
    assert done.path == "/billing/thanks?plan=scale"
    [(_, account_id, question)] = dashboard.billing.orders
    assert (account_id, question) == (
        payer.account_id,
        PlanChangeQuestion(plan=PlanName.SCALE, is_preview=False),
    )
    assert "A change of the plan was ordered" in (await ada.get("/audit?group=money")).text


async def test_what_less_of_a_plan_takes_is_said_before_it_is_cancelled(
    dashboard: Dashboard, ada: Browser, payer: Person
) -> None:
    for name in ("One", "Two", "Three"):
        await projects.create(dashboard.ports, payer.account_id, name, actor=OPERATOR)

    said = (await ada.get("/billing/plans/free")).text

    assert "Pro stays until 01 Apr 2026 , which is paid for." in said
    assert "1,000 live requests a month, not 100,000." in said
    assert "60 requests a minute, not 600." in said
    assert "100 requests may be open at once, not 5,000. What was accepted runs on" in said
    assert "Room for 1 project, not 10. You have 3: all of them stay" in said
    assert "Prompts and results of new requests are kept for 1 day, not 14 days." in said
    assert "Records of requests are kept for 7 days, not 30 days. Older ones" in said
    assert "More than now" not in said


async def test_a_subscription_is_cancelled_and_kept_after_all(
    dashboard: Dashboard, ada: Browser, payer: Person
) -> None:
    cancelled = await ada.send(await ada.get("/billing/plans/free"), "/billing/cancel")
    assert cancelled.path == "/billing?done=cancelled-plan"
    assert "Ends 01 Apr 2026 : it was cancelled" in cancelled.text
    assert "then you are on Free" in cancelled.text
    assert (await ada.get("/billing/plans/free")).path == "/billing/plans"

    kept = await ada.send(cancelled, "/billing/keep")
    assert "Next payment 01 Apr 2026" in kept.text
    assert [question for _, _, question in dashboard.billing.orders] == [
        CancelQuestion(),
        CancelQuestion(is_wanted=False),
    ]
    changes = await people.changes(dashboard.ports, payer.account_id)
    assert changes[-2:] == ["subscription.cancelled", "subscription.kept"]


async def test_an_order_that_is_sent_twice_harms_nothing(
    dashboard: Dashboard, ada: Browser, payer: Person
) -> None:
    said = await ada.get("/billing/plans/scale")
    for _ in range(2):
        assert (await ada.send(said, "/billing/plans/scale/change")).status == 200
    for _ in range(2):
        cancelled = await ada.send(await ada.get("/billing"), "/billing/portal")
        assert leads_to(cancelled) == PORTAL
    bought = dashboard.billing.of(payer.account_id).subscription
    assert bought is not None
    assert (bought.plan, bought.ends_at) == (PlanName.SCALE, None)


async def test_what_billing_refuses_is_said_in_its_words(
    dashboard: Dashboard, ada: Browser, payer: Person
) -> None:
    said = await ada.get("/billing/plans/scale")
    dashboard.billing.refusal = Conflict("A payment is open: pay it first.")

    page = await ada.send(said, "/billing/plans/scale/change")

    assert page.status == 409
    assert "pay it first" in page.text
    dashboard.billing.refusal = BillingAway()
    page = await ada.send(said, "/billing/plans/scale/change")
    assert (page.status, "try again in a moment" in page.text) == (503, True)
    assert payer


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://pay.example.org/",
        "//pay.example.org",
        "https://",
        'https://pay.example.org/" onload="x',
        "ftp://127.0.0.1/",
        "data:text/html,x",
        "https://[pay",
    ],
    ids=["script", "plain", "no scheme", "no host", "quotes", "ftp", "data", "brackets"],
)
async def test_nobody_is_sent_to_an_address_that_is_none_of_a_payment_page(
    dashboard: Dashboard, ada: Browser, owner: Person, url: str
) -> None:
    async def link(*_: object) -> LinkAnswer:
        return LinkAnswer(url=url)

    dashboard.billing.check_out = link  # type: ignore[method-assign,assignment]  # what it never says
    page = await ada.send(await ada.get("/billing/plans/pro"), "/billing/plans/pro/checkout")

    assert page.status == 503
    assert url not in page.html
    assert owner


@pytest.mark.parametrize("path", ORDERS)
async def test_no_other_site_orders_anything(
    dashboard: Dashboard, ada: Browser, payer: Person, path: str
) -> None:
    page = await ada.post(path, {"form_token": "0" * 64})

    assert page.status == 403
    assert dashboard.billing.orders == []
    stranger = dashboard.browser()
    assert (await stranger.post(path, {"form_token": "x"})).path == "/log-in"
    assert payer


@pytest.mark.parametrize("plan", ["operator", "gold", "%2e%2e"])
async def test_a_plan_that_is_not_offered_cannot_be_ordered(
    ada: Browser, owner: Person, plan: str
) -> None:
    token = (await ada.get("/billing/plans")).form("/log-out").fields["form_token"]
    assert (await ada.get(f"/billing/plans/{plan}")).status == 404
    for verb in ("checkout", "change"):
        sent = await ada.post(f"/billing/plans/{plan}/{verb}", {"form_token": token})
        assert sent.status == 404
    assert owner
