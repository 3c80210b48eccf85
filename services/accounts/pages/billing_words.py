"""Plans and money in words and pictures."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from markupsafe import Markup

from libs.common.contracts.billing import BillingAnswer, Money, SubscriptionAnswer, UsageAnswer
from libs.common.contracts.plans import PLANS, Plan, PlanName
from services.accounts.domain.money import amount_of
from services.accounts.domain.usage import Sum
from services.accounts.pages import charts
from services.accounts.pages.charts import Bar

NAMES: Final = {
    PlanName.OPERATOR: "Operator",
    PlanName.FREE: "Free",
    PlanName.PRO: "Pro",
    PlanName.SCALE: "Scale",
}
INVOICE_STATES: Final = {
    "draft": ("", "being made"),
    "ready": ("wait", "to be paid"),
    "billed": ("wait", "to be paid"),
    "paid": ("good", "paid"),
    "completed": ("good", "paid"),
    "past_due": ("bad", "overdue"),
    "canceled": ("", "cancelled"),
}
"""By the payment provider's words: the look, and what it is called."""
LIVING: Final = frozenset({"trialing", "active", "past_due"})
"""States of a subscription that can be changed."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it is offered. `price`: in words."""

    plan: PlanName
    allows: Plan
    price: str
    is_current: bool


def money(value: Money | None) -> str:
    """What costs nothing is said to."""
    return "no charge" if value is None else amount_of(value.amount, value.currency)


def offers(answer: BillingAnswer) -> list[Offer]:
    """What can be had, the smallest first; and what the account is on."""
    order = list(PlanName)
    return [
        Offer(
            plan=one.plan,
            allows=PLANS[one.plan],
            price="no charge" if one.price is None else f"{money(one.price)} a month",
            is_current=one.plan == answer.plan,
        )
        for one in sorted(answer.offers, key=lambda offer: order.index(offer.plan))
    ]


def living(answer: BillingAnswer) -> SubscriptionAnswer | None:
    """The subscription, where it is one that can be changed."""
    bought = answer.subscription
    return bought if bought is not None and bought.state in LIVING else None


def by_day(usage: UsageAnswer, now: datetime) -> Markup:
    """A bar for each day of the period so far."""
    sums: dict[date, Sum] = defaultdict(Sum)
    for line in usage.lines:
        sums[line.day].add(line)
    return charts.stacked(
        [_bar(day, sums[day]) for day in _days(usage, now)],
        unit="",
        name="Live requests of this period that ended, by the day (UTC) they were accepted",
    )


def _days(usage: UsageAnswer, now: datetime) -> Iterator[date]:
    day, last = usage.period, min(now.date(), usage.resets_on - timedelta(days=1))
    while day <= last:
        yield day
        day += timedelta(days=1)


def _bar(day: date, total: Sum) -> Bar:
    title = (
        f"{day:%d %b}: {total.completed:,} completed, {total.failed:,} failed,"
        f" {total.cancelled:,} cancelled"
    )
    parts: Sequence[float] = [total.completed, 0, total.failed, 0, total.cancelled]
    return Bar(f"{day:%d %b}", title, parts)
