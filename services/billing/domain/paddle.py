"""What billing knows of Paddle's things, in the few fields that it uses.

Ids are Paddle's (`ctm_…`, `sub_…`): they name nobody to anybody but Paddle. Names and addresses of
people pass through here and are never logged.
"""

from datetime import datetime
from typing import Literal

import msgspec

from libs.common.contracts.billing import Money, SubscriptionState
from libs.common.errors import Conflict, InvalidInput, Unavailable

Family = Literal["subscription", "transaction", "adjustment"]


class PaddleAway(Unavailable):
    """No answer of Paddle's that can be used. Whether it did what was asked may be unknown."""

    code = "payment_provider_away"


class PaddleRefused(Conflict):
    """Paddle will not do it as things are; `reason` is its error code, safe to log."""

    code = "payment_provider_refused"

    def __init__(self, text: str, *, reason: str = "") -> None:
        """`text`: for people, ours and never Paddle's own."""
        super().__init__(text)
        self.reason = reason


class DetailsRefused(InvalidInput):
    """Paddle takes a detail (a tax id, a postal code, an address of e-mail) for wrong."""

    code = "invalid_billing_details"


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays, at Paddle. One e-mail address is one customer there, archived or not."""

    id: str
    email: str
    account_id: str | None = None
    is_active: bool = True


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the customer is taxed. `country`: ISO 3166-1 alpha-2."""

    id: str
    country: str
    postal_code: str | None = None


class Business(msgspec.Struct, frozen=True, kw_only=True):
    """In whose name the customer buys."""

    id: str
    name: str
    tax_id: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkout is for. `return_url`: where the person comes back to.

    `customer_id`: None: who pays says so at the checkout.
    """

    account_id: str
    price_id: str
    customer_id: str | None
    return_url: str
    address_id: str | None = None
    business_id: str | None = None


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """As Paddle has it this moment. `change`: what is scheduled (cancel, pause, resume)."""

    id: str
    state: SubscriptionState
    customer_id: str
    address_id: str | None
    business_id: str | None
    price_ids: tuple[str, ...]
    change: str | None
    pays_until: datetime | None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Of a change of plan. `now`: negative when it is credited."""

    now: Money | None
    next: Money | None
    next_at: datetime | None


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One of Paddle's things, whole: `raw` is its JSON as a webhook's `data` would have it."""

    family: Family
    id: str
    updated_at: datetime
    raw: bytes
