"""What billing needs from outside, in one bundle."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.billing import Money
from libs.common.contracts.plans import PlanName
from libs.common.contracts.usage import (
    EndedAnswer,
    EndedQuestion,
    LedgerUsageAnswer,
    UsageQuestion,
)
from libs.common.database import Database
from services.billing.domain.paddle import (
    Address,
    Business,
    Costs,
    Customer,
    Entity,
    Family,
    Order,
    Subscription,
)


class Paddle(Protocol):
    """The payment provider. Everything raises PaddleAway, PaddleRefused or DetailsRefused.

    Nothing here changes our database: what was done comes back as a webhook.
    """

    async def find_customer(self, email: str) -> Customer | None:
        """By address of e-mail, archived ones too."""
        ...

    async def get_customer(self, customer_id: str) -> Customer:
        """One of them."""
        ...

    async def create_customer(self, email: str, account_id: str) -> Customer:
        """One anew; the one that is there where the address is taken."""
        ...

    async def update_customer(self, customer_id: str, email: str) -> None:
        """Where invoices go to."""
        ...

    async def list_addresses(self, customer_id: str) -> list[Address]:
        """The active ones, newest first."""
        ...

    async def save_address(
        self, customer_id: str, address_id: str | None, country: str, postal_code: str | None
    ) -> Address:
        """Change that one; without an id, make one."""
        ...

    async def list_businesses(self, customer_id: str) -> list[Business]:
        """The active ones, newest first."""
        ...

    async def save_business(
        self, customer_id: str, business_id: str | None, name: str, tax_id: str | None
    ) -> Business:
        """Change that one; without an id, make one."""
        ...

    async def archive_business(self, customer_id: str, business_id: str) -> None:
        """It is in use no more. Harmless again."""
        ...

    async def create_checkout(self, order: Order) -> str:
        """A transaction to be paid; where the person pays it. A second one harms nobody."""
        ...

    async def open_portal(self, customer_id: str, subscription_ids: tuple[str, ...]) -> str:
        """Where the customer is at home at Paddle, signed in; good for a short time."""
        ...

    async def get_subscription(self, subscription_id: str) -> Subscription:
        """As it is now."""
        ...

    async def preview_price(self, subscription_id: str, price_id: str) -> Costs:
        """What `change_price` would cost."""
        ...

    async def change_price(self, subscription_id: str, price_id: str) -> None:
        """Buy that instead, from now on, prorated; it stays as it was if the payment fails."""
        ...

    async def bill_to(self, subscription_id: str, address_id: str, business_id: str | None) -> None:
        """Where and to whom its coming invoices are written; None: to no business."""
        ...

    async def cancel(self, subscription_id: str, *, at_once: bool = False) -> None:
        """At the end of the paid period, or now. Harmless again, and where it has ended."""
        ...

    async def keep(self, subscription_id: str) -> None:
        """Take a scheduled end back. Harmless again."""
        ...

    async def invoice_pdf(self, transaction_id: str) -> str | None:
        """Where its PDF is for some minutes; None where Paddle has none."""
        ...

    async def price(self, price_id: str) -> Money:
        """What it costs a period, before tax; known for some minutes."""
        ...

    async def find_entity(self, family: Family, entity_id: str) -> Entity | None:
        """One, whole, as it is now."""
        ...

    def list_all(self, family: Family, *, since: datetime | None = None) -> AsyncIterator[Entity]:
        """Every one, page by page; `since`: changed (of adjustments: any) from then on."""
        ...


class Ledger(Protocol):
    """What was accepted, and what became of it. Everything raises LedgerAway."""

    async def usage(self, question: UsageQuestion) -> LedgerUsageAnswer:
        """A page of live requests, by account and day."""
        ...

    async def ended(self, question: EndedQuestion) -> EndedAnswer:
        """A page of final ones."""
        ...


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Our database, the time, the payment provider, and what gateways say of the ledger.

    `paddle`: None where nothing is sold. `prices`: which plan each of Paddle's prices buys; of one
    plan's, the first is the one offered. `ledger`: None where we were not told whom to ask.
    """

    db: Database
    clock: Clock
    paddle: Paddle | None = None
    prices: Mapping[str, PlanName] = msgspec.field(default_factory=dict)
    ledger: Ledger | None = None
