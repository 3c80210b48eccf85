"""Paddle's JSON, as far as it is read. Fields that are not here may come and go.

Amounts are strings of minor units; they are decoded leniently, as numbers.
"""

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from libs.common.contracts.billing import Money, SubscriptionState
from services.billing.domain.notices import Moment
from services.billing.domain.paddle import Address, Business, Costs, Customer, Subscription

Shape = TypeVar("Shape")


class Pagination(msgspec.Struct, frozen=True):
    """`next`: the whole address of the next page."""

    has_more: bool = False
    next: str | None = None


class Meta(msgspec.Struct, frozen=True):
    """Beside the data."""

    pagination: Pagination = Pagination()


class Link(msgspec.Struct, frozen=True):
    """`checkout` of a transaction, or a PDF."""

    url: str | None = None


class CustomerShape(msgspec.Struct, frozen=True):
    """A customer."""

    id: str
    email: str
    status: str
    custom_data: dict[str, Any] | None = None

    def read(self) -> Customer:
        """As we know it."""
        account_id = (self.custom_data or {}).get("account_id")
        return Customer(
            id=self.id,
            email=self.email,
            account_id=account_id if isinstance(account_id, str) else None,
            is_active=self.status == "active",
        )


class AddressShape(msgspec.Struct, frozen=True):
    """An address."""

    id: str
    country_code: str
    postal_code: str | None = None

    def read(self) -> Address:
        """As we know it."""
        return Address(id=self.id, country=self.country_code, postal_code=self.postal_code)


class BusinessShape(msgspec.Struct, frozen=True):
    """A business."""

    id: str
    name: str
    tax_identifier: str | None = None

    def read(self) -> Business:
        """As we know it."""
        return Business(id=self.id, name=self.name, tax_id=self.tax_identifier)


class CheckoutShape(msgspec.Struct, frozen=True):
    """A transaction that waits to be paid."""

    id: str
    checkout: Link | None = None


class PortalLinks(msgspec.Struct, frozen=True):
    """Of a portal session."""

    overview: str


class PortalUrls(msgspec.Struct, frozen=True):
    """`general` and, unread, one set for each subscription."""

    general: PortalLinks


class PortalShape(msgspec.Struct, frozen=True):
    """A portal session."""

    urls: PortalUrls


class Amount(msgspec.Struct, frozen=True):
    """Minor units, with their currency."""

    amount: int
    currency_code: str

    def read(self) -> Money:
        """As we know it."""
        return Money(amount=self.amount, currency=self.currency_code)


class PriceShape(msgspec.Struct, frozen=True):
    """A price."""

    id: str
    unit_price: Amount


class PricedId(msgspec.Struct, frozen=True):
    """Which price an item has."""

    id: str


class Item(msgspec.Struct, frozen=True):
    """An item of a subscription."""

    price: PricedId


class ScheduledChange(msgspec.Struct, frozen=True):
    """`action`: cancel, pause, resume."""

    action: str


class BillingPeriod(msgspec.Struct, frozen=True):
    """What is paid for."""

    starts_at: datetime
    ends_at: datetime


class SubscriptionShape(msgspec.Struct, frozen=True):
    """A subscription."""

    id: str
    status: SubscriptionState
    customer_id: str
    items: tuple[Item, ...]
    address_id: str | None = None
    business_id: str | None = None
    scheduled_change: ScheduledChange | None = None
    current_billing_period: BillingPeriod | None = None

    def read(self) -> Subscription:
        """As we know it."""
        period, change = self.current_billing_period, self.scheduled_change
        return Subscription(
            id=self.id,
            state=self.status,
            customer_id=self.customer_id,
            address_id=self.address_id,
            business_id=self.business_id,
            price_ids=tuple(item.price.id for item in self.items),
            change=change.action if change else None,
            pays_until=period.ends_at if period else None,
        )


class Totals(msgspec.Struct, frozen=True):
    """Of a transaction that was not made."""

    total: int
    currency_code: str

    def read(self) -> Money:
        """What would be paid, with tax."""
        return Money(amount=self.total, currency=self.currency_code)


class PreviewDetails(msgspec.Struct, frozen=True):
    """Around totals."""

    totals: Totals


class Outcome(msgspec.Struct, frozen=True):
    """Of a change: `action` charge or credit."""

    action: str
    amount: int
    currency_code: str


class Summary(msgspec.Struct, frozen=True):
    """Of what a change costs."""

    result: Outcome


class PreviewShape(msgspec.Struct, frozen=True):
    """A subscription as a change would leave it, or left it."""

    recurring_transaction_details: PreviewDetails | None = None
    next_billed_at: datetime | None = None
    update_summary: Summary | None = None

    def read(self) -> Costs:
        """As we know it."""
        recurring = self.recurring_transaction_details
        return Costs(
            now=_signed(self.update_summary.result) if self.update_summary else None,
            next=recurring.totals.read() if recurring else None,
            next_at=self.next_billed_at,
        )


class Data(msgspec.Struct, Generic[Shape], frozen=True):
    """Around every answer with one thing."""

    data: Shape


class Page(msgspec.Struct, Generic[Shape], frozen=True):
    """Around every answer with many."""

    data: tuple[Shape, ...]
    meta: Meta = Meta()


class EntityShape(msgspec.Struct, frozen=True):
    """What every listed thing has."""

    id: str
    created_at: Moment
    updated_at: Moment | None = None


def _signed(outcome: Outcome) -> Money:
    amount = -outcome.amount if outcome.action == "credit" else outcome.amount
    return Money(amount=amount, currency=outcome.currency_code)
