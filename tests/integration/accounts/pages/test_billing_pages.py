"""What people see of plan, use and money; nobody else's, and calmly where there is nothing."""

from datetime import date, timedelta

import pytest

from libs.common.contracts.billing import (
    InvoiceAnswer,
    InvoiceLine,
    LinkAnswer,
    TaxDetails,
    UsageAnswer,
    UsageLine,
)
from libs.common.contracts.plans import PlanName
from libs.common.errors import InvalidInput
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import BillingAway, BooksNotOpen
from services.accounts.models import Account, Person
from services.accounts.use_cases import plans, projects, standing
from tests.support.billing_stand_in import BEGAN, subscription
from tests.support.dashboard import Browser, Dashboard
from tests.support.frozen_clock import FrozenClock
from tests.support.people import person
from tests.support.plans import plan_changed

INVOICE = InvoiceAnswer(
    id="txn_1",
    number="2026-00017",
    billed_at=BEGAN,
    state="completed",
    currency="EUR",
    subtotal=2900,
    tax=551,
    total=3451,
    credited=0,
    lines=(InvoiceLine(description="ReqRun Pro", quantity=1, total=3451),),
    has_pdf=True,
)


@pytest.fixture
async def owner(dashboard: Dashboard, ada: Browser) -> Person:
    """Ada, on Free, where plans are sold."""
    assert ada
    found = await person(dashboard.ports, "ada@example.org")
    await plans.take(dashboard.ports, plan_changed(found.account_id, PlanName.FREE, version=1))
    return found


def usage(used: int, *lines: UsageLine, allowed: int = 1_000) -> UsageAnswer:
    return UsageAnswer(
        period=date(2026, 3, 1),
        resets_on=date(2026, 4, 1),
        allowed=allowed,
        finished=used,
        lines=lines,
    )


def line(project_id: str, model: str, day: int = 1, completed: int = 7) -> UsageLine:
    return UsageLine(
        day=date(2026, 3, day),
        project_id=project_id,
        model=model,
        completed=completed,
        failed=2,
        cancelled=1,
        prompt_tokens=1_200,
        completion_tokens=300,
        total_tokens=1_500,
    )


async def test_use_is_shown_by_day_and_by_project_and_model(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    made = await projects.create(dashboard.ports, owner.account_id, "Shop", actor=OPERATOR)
    lines = (line(made.id, "gpt-5-nano", 1), line(made.id, "gpt-5-nano", 2), line("prj_x", "o9"))
    dashboard.billing.set(owner.account_id, usage=usage(30, *lines))

    page = await ada.get("/billing")

    assert "30 of 1,000 live requests have ended" in page.text
    assert "Shop gpt-5-nano 14 4 2 2,400 600" in page.text
    assert "an erased project o9 7 2 1" in page.text
    assert "01 Mar: 14 completed, 4 failed, 2 cancelled" in page.text
    assert "starts anew on 01 Apr 2026" in page.text


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (799, None),
        (800, "80 % of this period's live requests are used: 800 of 1,000"),
        (1_000, "All 1,000 live requests of this period are used. New ones are refused until"),
    ],
    ids=["below", "80 %", "all"],
)
async def test_the_limit_is_told_of_before_and_when_it_is_reached(
    dashboard: Dashboard, ada: Browser, owner: Person, used: int, said: str | None
) -> None:
    made = await projects.create(dashboard.ports, owner.account_id, "Shop", actor=OPERATOR)
    dashboard.billing.set(owner.account_id, usage=usage(used))
    dashboard.plane.accepted = used

    for path in ("/billing", f"/projects/{made.id}", f"/projects/{made.id}/usage"):
        page = await ada.get(path)
        assert page.status == 200
        if said is None:
            assert "See larger plans</a></p>" not in page.html
        else:
            assert said in page.text, path


async def test_where_nothing_is_sold_there_are_no_prices(
    dashboard: Dashboard, ada: Browser
) -> None:
    """As everybody meets it who runs ReqRun for themselves."""
    found = await person(dashboard.ports, "ada@example.org")
    dashboard.billing.set(found.account_id, is_sold=False, offers=(), plan=PlanName.OPERATOR)

    seen = [(await ada.get(path)) for path in ("/billing", "/billing/plans", "/billing/invoices")]

    assert [page.status for page in seen] == [200, 200, 200]
    assert all("EUR" not in page.text for page in seen)
    assert "sells you nothing" in seen[0].text
    assert "Nothing is sold here" in seen[1].text
    assert "so there are none" in seen[2].text
    assert "/billing/details" not in seen[2].html


@pytest.mark.parametrize(
    "away", [BillingAway(), BooksNotOpen("Your billing is being set up.")], ids=["away", "new"]
)
async def test_while_billing_is_away_pages_say_so_calmly(
    dashboard: Dashboard, ada: Browser, owner: Person, away: Exception
) -> None:
    dashboard.billing.refusal = away  # type: ignore[assignment]  # both are

    for path in ("/billing", "/billing/plans", "/billing/plans/pro", "/billing/invoices"):
        page = await ada.get(path)
        assert (page.status, str(away) in page.text) == (200, True), path
    assert "Free" in (await ada.get("/billing")).text
    assert (await ada.get("/billing/invoices/txn_1/pdf")).status == 503
    assert owner


async def test_invoices_are_listed_and_their_files_are_the_providers(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    assert "No invoices yet" in (await ada.get("/billing/invoices")).text
    dashboard.billing.set(owner.account_id, invoices=(INVOICE,))

    page = await ada.get("/billing/invoices")
    assert "2026-00017 01 Mar 2026 ReqRun Pro paid EUR 5.51 EUR 34.51" in page.text
    file = await ada.get("/billing/invoices/txn_1/pdf", follow=False)
    assert (file.status, file.response.headers["location"]) == (
        303,
        "https://pay.example.org/txn_1.pdf",
    )
    assert (await ada.get("/billing/invoices/txn_2/pdf")).status == 404


async def test_nobody_sees_another_accounts_money(
    dashboard: Dashboard, ada: Browser, bob: Browser, owner: Person
) -> None:
    assert ada
    dashboard.billing.set(owner.account_id, invoices=(INVOICE,), subscription=subscription())

    for path in ("/billing", "/billing/plans", "/billing/invoices"):
        assert "2026-00017" not in (await bob.get(path)).text
        assert "Next payment" not in (await bob.get(path)).text
    assert (await bob.get("/billing/invoices/txn_1/pdf")).status == 404
    stranger = dashboard.browser()
    assert (await stranger.get("/billing")).path.startswith("/log-in?next=")


async def test_details_are_kept_and_what_is_wrong_is_told_beside_them(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    page = await ada.get("/billing/invoices")
    wrong = await ada.send(page, "/billing/details", email="nobody", country="XX")
    assert wrong.status == 400
    assert wrong.wrong("email")
    assert wrong.wrong("country")
    assert wrong.form("/billing/details").fields["email"] == "nobody"

    saved = await ada.send(
        page,
        "/billing/details",
        email="invoices@example.org",
        business_name=" Engines Ltd ",
        tax_id="DE136695976",
        country="DE",
        postal_code="10115",
    )
    assert saved.path == "/billing/invoices?done=saved"
    assert dashboard.billing.of(owner.account_id).details == TaxDetails(
        email="invoices@example.org",
        business_name="Engines Ltd",
        tax_id="DE136695976",
        country="DE",
        postal_code="10115",
    )
    assert "Billing details were changed" in (await ada.get("/audit?group=money")).text


async def test_what_billing_finds_wrong_with_details_is_said_there(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    assert owner
    page = await ada.get("/billing/invoices")

    async def refuse(*_: object) -> LinkAnswer:
        raise BadTaxId("This is no VAT number.")

    dashboard.billing.set_details = refuse  # type: ignore[method-assign,assignment]  # this once
    wrong = await ada.send(page, "/billing/details", tax_id="DE1")

    assert (wrong.status, wrong.wrong("tax_id")) == (400, "This is no VAT number.")


class BadTaxId(InvalidInput):
    """As billing says it."""

    code = "invalid_tax_id"


async def test_a_failed_payment_is_on_every_page_until_it_is_paid(
    dashboard: Dashboard, ada: Browser, owner: Person, clock: FrozenClock
) -> None:
    due_at = dashboard.ports.clock.now() + timedelta(days=7)
    async with dashboard.ports.db.transaction() as tx:
        (await tx.get_one(Account, owner.account_id)).payment_due_at = due_at
    owed = subscription(state="past_due", grace_ends_at=due_at)
    dashboard.billing.set(owner.account_id, subscription=owed, plan=PlanName.PRO)

    for path in ("/projects", "/settings", "/billing", "/audit"):
        page = await ada.get(path)
        assert "A payment for your plan failed." in page.text, path
        assert f"until {due_at:%d %b %Y}" in page.text
        assert page.form("/billing/portal")

    dashboard.billing.refusal = BillingAway()
    assert "A payment for your plan failed." in (await ada.get("/projects")).text
    dashboard.billing.refusal = None
    dashboard.billing.set(owner.account_id, subscription=subscription())
    assert "A payment" not in (await ada.get("/projects")).text

    # Billing heard late that it is unpaid: an hour long nothing is forgotten for good.
    dashboard.billing.set(owner.account_id, subscription=owed)
    assert "A payment for your plan failed." in (await ada.get("/projects")).text
    dashboard.billing.set(owner.account_id, subscription=subscription())
    clock.advance(timedelta(hours=1))
    assert "A payment" not in (await ada.get("/projects")).text
    asked = dashboard.billing.asked
    assert "A payment" not in (await ada.get("/projects")).text
    assert dashboard.billing.asked == asked, "who owes nothing costs no question"


async def test_a_suspended_account_sees_so_and_why_on_every_page(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    await standing.suspend(dashboard.ports, owner.account_id, "Sends <spam>", actor=OPERATOR)

    for path in ("/projects", "/billing"):
        page = await ada.get(path)
        assert "Your account is suspended: Sends <spam>" in page.text
        assert "<spam>" not in page.html

    await standing.resume(dashboard.ports, owner.account_id, actor=OPERATOR)
    assert "is suspended" not in (await ada.get("/projects")).text


async def test_what_it_comes_to_is_said_when_there_is_enough_to_say_it(
    dashboard: Dashboard, ada: Browser, owner: Person
) -> None:
    began = dashboard.ports.clock.now().date() - timedelta(days=10)
    ends = began + timedelta(days=30)
    used = UsageAnswer(period=began, resets_on=ends, allowed=1_000, finished=500, lines=())
    dashboard.billing.set(owner.account_id, usage=used)

    text = (await ada.get("/billing")).text

    assert "it will be about 1," in text
    assert "more than your plan allows" in text
