"""Paddle's things in a webhook's `data`, in the fields that we keep, checked and bounded.

Field names on the left are Paddle's (developer.paddle.com/api-reference), those of `Thing.values`
our columns'. What is not kept is not read: names of people, streets, cards.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from services.billing.domain.invoices import Line
from services.billing.domain.notices import Moment, Unreadable, check_moment

Id = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,40}$")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z_]{1,20}$")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$")]
Amount = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,17}$")]
"""Minor units, as digits."""

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]

_LONGEST: Final = 500
_MOST_LINES: Final = 100


class Kind(StrEnum):
    """Whatever webhooks are about, of what concerns us: the first part of their type."""

    CUSTOMER = "customer"
    ADDRESS = "address"
    BUSINESS = "business"
    SUBSCRIPTION = "subscription"
    TRANSACTION = "transaction"
    ADJUSTMENT = "adjustment"


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `values`: by column. `account_id`: whose it says it is, by `custom_data`."""

    kind: Kind
    id: str
    values: dict[str, Any]
    customer_id: str | None
    account_id: str | None = None


class _Data(msgspec.Struct, frozen=True, kw_only=True):
    id: Id
    status: Word
    customer_id: Id | None = None
    custom_data: Any = None


class _Customer(_Data, frozen=True, kw_only=True):
    email: str | None = None

    def values(self) -> dict[str, Any]:
        return {"email": _clean(self.email)}


class _Address(_Data, frozen=True, kw_only=True):
    country_code: Country | None = None
    postal_code: str | None = None

    def values(self) -> dict[str, Any]:
        return {"country": self.country_code, "postal_code": _clean(self.postal_code)}


class _Business(_Data, frozen=True, kw_only=True):
    name: str | None = None
    tax_identifier: str | None = None

    def values(self) -> dict[str, Any]:
        return {"name": _clean(self.name), "tax_id": _clean(self.tax_identifier)}


class _Money(msgspec.Struct, frozen=True):
    amount: Amount


class _Price(msgspec.Struct, frozen=True):
    id: Id
    unit_price: _Money | None = None


class _Item(msgspec.Struct, frozen=True):
    price: _Price
    quantity: Count = 1
    status: Word = "active"


class _Period(msgspec.Struct, frozen=True):
    ends_at: Moment


class _Change(msgspec.Struct, frozen=True):
    action: Word
    effective_at: Moment


class _Sale(_Data, frozen=True, kw_only=True):
    currency_code: Currency
    address_id: Id | None = None
    business_id: Id | None = None

    def common(self) -> dict[str, Any]:
        names = ("address_id", "business_id")
        return {name: getattr(self, name) for name in names} | {
            "currency": self.currency_code,
            "named_account_id": account_of(self.custom_data),
        }


class _Subscription(_Sale, frozen=True, kw_only=True):
    items: list[_Item]
    started_at: Moment | None = None
    first_billed_at: Moment | None = None
    canceled_at: Moment | None = None
    current_billing_period: _Period | None = None
    scheduled_change: _Change | None = None

    def values(self) -> dict[str, Any]:
        items = [item for item in self.items if item.status != "inactive"]
        change, period = self.scheduled_change, self.current_billing_period
        return self.common() | {
            "price_ids": [item.price.id for item in items],
            "price": sum(_price(item) for item in items),
            "started_at": self.started_at or self.first_billed_at,
            "pays_until": period.ends_at if period else None,
            "change": change.action if change else None,
            "changes_at": change.effective_at if change else None,
            "canceled_at": self.canceled_at,
        }


class _Totals(msgspec.Struct, frozen=True):
    subtotal: Amount = "0"
    discount: Amount = "0"
    tax: Amount = "0"
    total: Amount = "0"
    grand_total: Amount | None = None


class _Product(msgspec.Struct, frozen=True):
    name: str = ""


class _LineItem(msgspec.Struct, frozen=True):
    totals: _Totals
    quantity: Count = 1
    product: _Product | None = None


class _Details(msgspec.Struct, frozen=True):
    totals: _Totals
    line_items: list[_LineItem] = []


class _Transaction(_Sale, frozen=True, kw_only=True):
    details: _Details
    subscription_id: Id | None = None
    invoice_number: str | None = None
    billed_at: Moment | None = None

    def values(self) -> dict[str, Any]:
        totals = self.details.totals
        return self.common() | {
            "subscription_id": self.subscription_id,
            "invoice_number": _clean(self.invoice_number),
            "billed_at": self.billed_at,
            "subtotal": int(totals.subtotal) - int(totals.discount),
            "tax": int(totals.tax),
            "total": int(totals.total),
            "charged": int(totals.grand_total or totals.total),
            "lines": [_line(item) for item in self.details.line_items[:_MOST_LINES]],
        }


class _Adjustment(_Data, frozen=True, kw_only=True):
    transaction_id: Id
    action: Word
    currency_code: Currency
    totals: _Totals

    def values(self) -> dict[str, Any]:
        return {
            "transaction_id": self.transaction_id,
            "action": self.action,
            "total": int(self.totals.total),
            "currency": self.currency_code,
        }


_Known = _Customer | _Address | _Business | _Subscription | _Transaction | _Adjustment

_DECODERS: Final[Mapping[Kind, msgspec.json.Decoder[_Known]]] = {
    Kind.CUSTOMER: msgspec.json.Decoder(_Customer),
    Kind.ADDRESS: msgspec.json.Decoder(_Address),
    Kind.BUSINESS: msgspec.json.Decoder(_Business),
    Kind.SUBSCRIPTION: msgspec.json.Decoder(_Subscription),
    Kind.TRANSACTION: msgspec.json.Decoder(_Transaction),
    Kind.ADJUSTMENT: msgspec.json.Decoder(_Adjustment),
}


def read(kind: Kind, data: bytes | msgspec.Raw) -> Thing:
    """What Paddle says of one thing. Raises Unreadable."""
    try:
        told = _DECODERS[kind].decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable(f"This is no {kind} as Paddle documents it.") from None
    values = told.values() | {"state": told.status}
    for value in values.values():
        if isinstance(value, datetime):
            check_moment(value)
    customer_id = told.id if kind is Kind.CUSTOMER else told.customer_id
    if kind is not Kind.CUSTOMER:
        values["customer_id"] = customer_id
    return Thing(
        kind=kind,
        id=told.id,
        values=values,
        customer_id=customer_id,
        account_id=account_of(told.custom_data),
    )


def account_of(custom_data: Any) -> str | None:
    """`account_id` of a thing's `custom_data`, which anybody's checkout may have filled."""
    named = custom_data.get("account_id") if isinstance(custom_data, dict) else None
    return named if isinstance(named, str) and _is_id(named) else None


def _is_id(text: str) -> bool:
    try:
        msgspec.convert(text, Id)
    except msgspec.ValidationError:
        return False
    return True


def _price(item: _Item) -> int:
    return int(item.price.unit_price.amount) * item.quantity if item.price.unit_price else 0


def _line(item: _LineItem) -> dict[str, Any]:
    name = _clean(item.product.name if item.product else None) or ""
    line = Line(description=name, quantity=item.quantity, total=int(item.totals.total))
    return msgspec.structs.asdict(line)


def _clean(text: str | None) -> str | None:
    """Bounded, without what a database's text cannot hold."""
    return text.replace("\0", "")[:_LONGEST] if text is not None else None
