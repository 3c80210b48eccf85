"""What billing tells, and what it answers on `/internal`.

Money is integer minor units with its currency (ISO 4217). Periods: libs/common/periods.py.
"""

from datetime import date, datetime, timedelta
from typing import Final, Literal

import msgspec

from libs.common.contracts.event import Event
from libs.common.contracts.plans import PlanName

AUDIENCE: Final = "billing"
"""Audience of the service tokens that billing takes."""

GRACE: Final = timedelta(days=7)
"""From the first event that found a payment missing: mails go out, the plan stays."""

SubscriptionState = Literal["trialing", "active", "past_due", "paused", "canceled"]
"""The payment provider's words. An account without a subscription has none of them."""


class PlanChanged(Event, frozen=True, kw_only=True, tag="plan.changed"):
    """What an account may do from now on.

    `version` grows with each change of an account's plan: a reader that knows a later one ignores
    this. `anchor_day`: the day of the month on which its periods begin.
    """

    account_id: str
    plan: PlanName
    anchor_day: int
    version: int


class UsageThresholdReached(Event, frozen=True, kw_only=True, tag="usage.threshold_reached"):
    """80 or 100 % of what the plan allows in a period is used; told once per period and percent."""

    account_id: str
    percent: Literal[80, 100]
    period: date
    resets_on: date
    used: int
    allowed: int


class PaymentFailed(Event, frozen=True, kw_only=True, tag="payment.failed"):
    """A payment for the subscription failed; told once for each failed transaction.

    `grace_ends_at`: until then the plan stays as it is.
    """

    account_id: str
    transaction_id: str
    amount: int
    currency: str
    grace_ends_at: datetime


class SubscriptionEnded(Event, frozen=True, kw_only=True, tag="subscription.ended"):
    """Nothing more is bought: the account falls back to `plan` now. Told once a subscription."""

    account_id: str
    subscription_id: str
    ended_plan: PlanName
    plan: PlanName


def billing_path(account_id: str) -> str:
    """`GET` answers BillingAnswer; 404 `billing_account_not_found` until its books are open."""
    return f"/internal/accounts/{account_id}/billing"


def checkout_path(account_id: str) -> str:
    """`POST` of CheckoutQuestion answers LinkAnswer."""
    return f"/internal/accounts/{account_id}/checkout"


def portal_path(account_id: str) -> str:
    """`POST` answers LinkAnswer: where invoices, cards and cancelling are the provider's own."""
    return f"/internal/accounts/{account_id}/portal"


def plan_change_path(account_id: str) -> str:
    """`POST` of PlanChangeQuestion answers PlanChangeAnswer; of a living subscription only."""
    return f"/internal/accounts/{account_id}/plan-change"


def cancel_path(account_id: str) -> str:
    """`POST` of CancelQuestion: at the end of the paid period, or not after all. BillingAnswer."""
    return f"/internal/accounts/{account_id}/cancel"


def details_path(account_id: str) -> str:
    """`PUT` of TaxDetails answers BillingAnswer."""
    return f"/internal/accounts/{account_id}/details"


def invoice_path(account_id: str, invoice_id: str) -> str:
    """`GET` answers LinkAnswer: the invoice as PDF, for minutes. 404 `invoice_not_found`."""
    return f"/internal/accounts/{account_id}/invoices/{invoice_id}/pdf"


def grant_path(account_id: str) -> str:
    """`PUT` of GrantQuestion answers BillingAnswer: what the operator gives, bought or not."""
    return f"/internal/accounts/{account_id}/plan"


class CheckoutQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Buy `plan`. `email`: proposed for invoices. `return_url`: where the person comes back to."""

    plan: PlanName
    email: str
    return_url: str


class PlanChangeQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is bought. `is_preview`: only say what it would cost."""

    plan: PlanName
    is_preview: bool = True


class CancelQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`is_wanted` False: it goes on after all."""

    is_wanted: bool = True


class GrantQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of an account that buys nothing, and its floor where it does."""

    plan: PlanName


class LinkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the person goes next: an address of the payment provider's."""

    url: str


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units (cents) of a currency."""

    amount: int
    currency: str


class PlanChangeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a change costs. `now`: charged at once, negative: credited; None: nothing is known.

    `next`: each billing period (a month, or a year) from `next_at` on.
    """

    plan: PlanName
    now: Money | None
    next: Money | None
    next_at: datetime | None
    is_done: bool


class OfferAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that can be had. `price`: a month; None for what costs nothing.

    Of the plan's first price in the settings, which is why that has to be a monthly one.
    """

    plan: PlanName
    price: Money | None


class SubscriptionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is bought. `ends_at`: it was cancelled, and ends then. `grace_ends_at`: when past due.

    `pays_until`: the end of the period that is paid for. `price`: of such a period.
    """

    id: str
    plan: PlanName
    state: SubscriptionState
    started_at: datetime
    pays_until: datetime | None
    ends_at: datetime | None
    grace_ends_at: datetime | None
    price: Money | None


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """Live requests that ended, accepted on a day (UTC), of a project and a model.

    Both are empty in the sum of a day's lines that are not told one by one: the smallest.
    """

    day: date
    project_id: str
    model: str
    completed: int
    failed: int
    cancelled: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class UsageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Of the period that is now. `finished`: final requests of it; open ones count at the gate."""

    period: date
    resets_on: date
    allowed: int
    finished: int
    lines: tuple[UsageLine, ...]


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """What was charged for; `total` with tax."""

    description: str
    quantity: int
    total: int


class InvoiceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction of the provider's that was billed. `credited`: refunds and credits on it."""

    id: str
    number: str | None
    billed_at: datetime
    state: str
    currency: str
    subtotal: int
    tax: int
    total: int
    credited: int
    lines: tuple[InvoiceLine, ...]
    has_pdf: bool


class TaxDetails(msgspec.Struct, frozen=True, kw_only=True):
    """To whom invoices are written. `country`: ISO 3166-1 alpha-2. All may be unknown."""

    email: str | None = None
    business_name: str | None = None
    tax_id: str | None = None
    country: str | None = None
    postal_code: str | None = None


class BillingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of an account's plan, use and money.

    `is_sold`: whether anything can be bought here; without a payment provider there are no offers.
    `invoices`: newest first, at most 100. `next_plan`: what follows at the end of the period.
    """

    account_id: str
    plan: PlanName
    is_sold: bool
    offers: tuple[OfferAnswer, ...]
    subscription: SubscriptionAnswer | None
    next_plan: PlanName | None
    usage: UsageAnswer
    invoices: tuple[InvoiceAnswer, ...]
    details: TaxDetails
