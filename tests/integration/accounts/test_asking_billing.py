"""What accounts makes of a billing that answers, refuses, is slow, or talks nonsense; by socket."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from deploy.local.ports import free_ports
from libs.common import errors
from libs.common.contracts.billing import (
    BillingAnswer,
    CancelQuestion,
    CheckoutQuestion,
    GrantQuestion,
    PlanChangeQuestion,
    TaxDetails,
)
from libs.common.contracts.plans import PlanName
from libs.common.errors import AppError
from services.accounts.adapters import billing as adapter
from services.accounts.adapters.billing import HttpBilling
from services.accounts.domain.errors import BillingAway, BooksNotOpen, InvoiceNotFound
from tests.support.bad_answers import ACCOUNTS, NO_ANSWERS, asking, refusal
from tests.support.billing_stand_in import PAY_PAGE, PORTAL, BillingStandIn, running, subscription
from tests.support.raw_server import always, raw_server, reply, silence
from tests.support.service_keys import ServiceKey

CHECKOUT = CheckoutQuestion(
    plan=PlanName.PRO, email="ada@example.org", return_url="https://reqrun.example/billing/thanks"
)

Ask = Callable[[HttpBilling], Awaitable[object]]
ASKS: dict[str, Ask] = {
    "show": lambda billing: billing.show("acc_a"),
    "checkout": lambda billing: billing.check_out("acc_a", CHECKOUT),
    "portal": lambda billing: billing.open_portal("acc_a"),
    "change": lambda billing: billing.change_plan("acc_a", PlanChangeQuestion(plan=PlanName.PRO)),
    "cancel": lambda billing: billing.cancel("acc_a", CancelQuestion()),
    "details": lambda billing: billing.set_details("acc_a", TaxDetails(country="DE")),
    "invoice": lambda billing: billing.open_invoice("acc_a", "txn_1"),
    "grant": lambda billing: billing.grant("acc_a", GrantQuestion(plan=PlanName.PRO)),
}
BAD = {
    **NO_ANSWERS,
    "another shape": reply("400 What", refusal("invalid_body")),
    "half an answer": reply("200 OK", b'{"account_id":"canary"}'),
}


async def test_every_question_reaches_billing_and_every_answer_comes_back() -> None:
    stand_in = BillingStandIn()
    async with running(stand_in, ACCOUNTS) as url, asking(url, HttpBilling) as billing:
        assert (await billing.show("acc_a")) == stand_in.of("acc_a")
        assert (await billing.check_out("acc_a", CHECKOUT)).url == PAY_PAGE
        stand_in.set("acc_a", subscription=subscription())
        assert (await billing.open_portal("acc_a")).url == PORTAL
        preview = await billing.change_plan("acc_a", PlanChangeQuestion(plan=PlanName.SCALE))
        assert (preview.is_done, preview.plan) == (False, PlanName.SCALE)
        assert (await billing.cancel("acc_a", CancelQuestion())).next_plan == PlanName.FREE
        details = TaxDetails(business_name="Engines Ltd", country="GB")
        assert (await billing.set_details("acc_a", details)).details == details
        granted = await billing.grant("acc_a", GrantQuestion(plan=PlanName.SCALE))
        assert granted.plan == PlanName.SCALE
        with pytest.raises(errors.NotFound, match="no such invoice"):
            await billing.open_invoice("acc_a", "txn_none")
    kinds = [what for what, _, _ in stand_in.orders]
    assert kinds == ["checkout", "portal", "cancel", "details", "grant"]


async def test_what_comes_from_a_browser_gets_into_no_path() -> None:
    async with asking(f"http://127.0.0.1:{free_ports()}", HttpBilling) as billing:
        for text in ("", "..", "a/b", "a%2fb", "x" * 65, "txn\n"):
            with pytest.raises(InvoiceNotFound):
                await billing.open_invoice("acc_a", text)


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_no_billing_is_billing_away(ask: Ask) -> None:
    async with asking(f"http://127.0.0.1:{free_ports()}", HttpBilling) as billing:
        with pytest.raises(BillingAway):
            await ask(billing)


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
async def test_what_is_no_good_answer_is_billing_away(
    answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        raw_server(always(answer)) as server,
        asking(server.url, HttpBilling) as billing,
    ):
        for ask in ASKS.values():
            with pytest.raises(BillingAway) as away:
                await ask(billing)
            assert away.value.code == "billing_away"
            assert "canary" not in str(away.value)
    assert "canary" not in capsys.readouterr().out


async def test_a_billing_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "READ_SECONDS", 0.1)
    monkeypatch.setattr(adapter, "ORDER_SECONDS", 0.1)
    async with (
        raw_server(silence) as server,
        asking(server.url, HttpBilling) as billing,
        asyncio.timeout(20),
    ):
        for ask in ASKS.values():
            with pytest.raises(BillingAway):
                await ask(billing)


def test_orders_may_take_longer_than_looks() -> None:
    assert (adapter.READ_SECONDS, adapter.ORDER_SECONDS) == (2.0, 10.0)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("400 Bad", "invalid_tax_id", errors.InvalidInput),
        ("404 None", "invoice_not_found", errors.NotFound),
        ("409 No", "no_subscription", errors.Conflict),
        ("410 Gone", "checkout_gone", errors.Gone),
        ("429 Slow", "too_many_orders", errors.LimitReached),
        ("404 None", "billing_account_not_found", BooksNotOpen),
    ],
    ids=["400", "404", "409", "410", "429", "not open yet"],
)
async def test_what_billing_refuses_comes_back_in_its_own_words(
    status: str, code: str, kind: type[AppError]
) -> None:
    async with (
        raw_server(always(reply(status, refusal(code, "So it is.")))) as server,
        asking(server.url, HttpBilling) as billing,
    ):
        for ask in ASKS.values():
            with pytest.raises(kind) as refused:
                await ask(billing)
            if kind is not BooksNotOpen:
                assert (str(refused.value), refused.value.code) == ("So it is.", code)


async def test_whoever_has_no_service_token_is_not_answered() -> None:
    """The stand-in is as strict as billing."""
    async with (
        running(BillingStandIn(), ServiceKey("accounts")) as url,
        asking(url, HttpBilling) as billing,
    ):
        with pytest.raises(BillingAway):
            await billing.show("acc_a")


def test_an_answer_of_billing_is_what_is_asked_for() -> None:
    """A field that billing adds later breaks no reader."""
    known = msgspec.to_builtins(BillingStandIn().of("acc_a"))
    newer = msgspec.json.encode({**known, "something_new": 1})
    assert msgspec.json.decode(newer, type=BillingAnswer) == BillingStandIn().of("acc_a")
