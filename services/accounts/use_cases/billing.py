"""What people see and order of plans and money. Billing knows it all; here stands who asked.

An order is written down before it is handed on: what cannot be written down is not ordered.
"""

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from libs.common import logs
from libs.common.contracts.billing import (
    GRACE,
    BillingAnswer,
    CancelQuestion,
    CheckoutQuestion,
    LinkAnswer,
    PlanChangeAnswer,
    PlanChangeQuestion,
    TaxDetails,
)
from libs.common.contracts.plans import PlanName
from libs.common.errors import Conflict, Unavailable
from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.domain.countries import check_country
from services.accounts.domain.emails import check_email
from services.accounts.domain.errors import BillingAway, NotVerified
from services.accounts.domain.forms import Fields
from services.accounts.models import Account, Person
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.use_cases import audit

log = logs.get(__name__)

LINK_REFUSED: Final = "billing_link_refused"

_SAME_PLAN: Final = "same_plan"
_SETTLING: Final = timedelta(hours=1)
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})


async def look(ports: Ports, account_id: str) -> BillingAnswer:
    """Everything about its plan, use and money. Raises BillingAway, BooksNotOpen."""
    return await ports.billing.show(account_id)


async def check_debt(ports: Ports, account: Account) -> datetime | None:
    """Until when a payment that failed is waited for; None where nothing is owed any more.

    That it was paid nobody tells. So billing is asked, as long as there is a debt; while it is
    away, what is known here holds. In the first hour nothing is taken for paid for good: that the
    subscription is unpaid may reach billing after that its payment failed.
    """
    due_at = account.payment_due_at
    if due_at is None:
        return None
    try:
        bought = (await ports.billing.show(account.id)).subscription
    except Unavailable:
        return due_at
    if bought is not None and bought.state == "past_due":
        return bought.grace_ends_at or due_at
    if ports.clock.now() >= due_at - GRACE + _SETTLING:
        async with ports.db.transaction() as tx:
            current = await AccountRepository(tx).lock(account.id)
            if current.payment_due_at == due_at:
                current.payment_due_at = None
    return None


async def check_out(ports: Ports, person: Person, plan: PlanName, network: str) -> str:
    """Where they pay for it. Raises NotVerified, BillingAway, Conflict.

    The payment provider knows people by their address of e-mail, and shows who comes with one what
    belongs to it: so the address has to be proven.
    """
    if person.verified_at is None:
        raise NotVerified("Verify your e-mail address first: it is where invoices are sent to.")
    await audit.note(ports, _entry(Change.CHECKOUT_STARTED, person, network, plan))
    question = CheckoutQuestion(
        plan=plan,
        email=person.email,
        return_url=f"{ports.base_url}/billing/thanks?plan={plan}",
    )
    return _checked(ports, await ports.billing.check_out(person.account_id, question))


async def open_portal(ports: Ports, person: Person, network: str) -> str:
    """Where their cards are. Raises BillingAway, Conflict, NotFound."""
    await audit.note(ports, _entry(Change.PORTAL_OPENED, person, network))
    return _checked(ports, await ports.billing.open_portal(person.account_id))


async def preview(ports: Ports, account_id: str, plan: PlanName) -> PlanChangeAnswer:
    """What the living subscription would cost with another plan. Raises BillingAway, Conflict."""
    return await ports.billing.change_plan(account_id, PlanChangeQuestion(plan=plan))


async def order(ports: Ports, person: Person, plan: PlanName, network: str) -> None:
    """Another plan for the living subscription; sent twice, it is ordered once.

    Raises BillingAway, Conflict.
    """
    await audit.note(ports, _entry(Change.PLAN_ORDERED, person, network, plan))
    question = PlanChangeQuestion(plan=plan, is_preview=False)
    try:
        await ports.billing.change_plan(person.account_id, question)
    except Conflict as refused:
        if refused.code != _SAME_PLAN:
            raise


async def cancel(ports: Ports, person: Person, network: str) -> BillingAnswer:
    """It ends with the period that is paid for. Raises BillingAway, Conflict."""
    await audit.note(ports, _entry(Change.SUBSCRIPTION_CANCELLED, person, network))
    return await ports.billing.cancel(person.account_id, CancelQuestion())


async def keep(ports: Ports, person: Person, network: str) -> BillingAnswer:
    """It goes on after all. Raises BillingAway, Conflict."""
    await audit.note(ports, _entry(Change.SUBSCRIPTION_KEPT, person, network))
    return await ports.billing.cancel(person.account_id, CancelQuestion(is_wanted=False))


async def set_details(
    ports: Ports, person: Person, details: TaxDetails, network: str
) -> BillingAnswer:
    """To whom invoices are written from now on. Raises FieldErrors, InvalidInput, BillingAway."""
    fields = Fields()
    with fields.check("email"):
        _ = details.email and check_email(details.email)
    with fields.check("country"):
        _ = details.country and check_country(details.country)
    fields.end()
    await audit.note(ports, _entry(Change.TAX_DETAILS_CHANGED, person, network))
    return await ports.billing.set_details(person.account_id, details)


async def open_invoice(ports: Ports, account_id: str, invoice_id: str) -> str:
    """Where its PDF is, for minutes. Raises NotFound, BillingAway."""
    return _checked(ports, await ports.billing.open_invoice(account_id, invoice_id))


def _checked(ports: Ports, link: LinkAnswer) -> str:
    """An address that a browser may be sent to: HTTPS, or one of this very machine's."""
    try:
        parts = urlsplit(link.url)
    except ValueError:  # brackets that hold no IPv6 address
        parts = urlsplit("")
    is_text = link.url.isascii() and link.url.isprintable() and not set(link.url) & set(" \"'<>")
    is_here = parts.scheme == "http" and parts.hostname in _HERE and not ports.is_production
    if is_text and parts.hostname and (parts.scheme == "https" or is_here):
        return link.url
    log.error(LINK_REFUSED, kind=parts.scheme)
    raise BillingAway


def _entry(what: Change, person: Person, network: str, plan: PlanName | None = None) -> Entry:
    return Entry(
        what=what,
        account_id=person.account_id,
        subject_id=person.account_id,
        actor=Actor(person.id, network),
        detail=plan,
    )
