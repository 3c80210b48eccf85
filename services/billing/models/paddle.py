"""What Paddle told: the inbox of its webhooks, and the newest state of each of its things.

`occurred_at` and `event_id` of a thing are those of the event that its row stands for; an event
changes a row only if it comes after them. So the rows are the same whatever order events came in.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import ID, MOMENT, Base

EVENT_ID = String(80, collation="C")
STATE = String(20)
CURRENCY = String(3)
UNREAD = "state IN ('failed', 'unreadable') AND body IS NOT NULL"
"""Of webhooks: what nobody could take over, and that names somebody perhaps."""


class Webhook(Base):
    """One event as Paddle sent it, once. `number`: in what order they came.

    `signature`: the header, so that `body` can be verified again. `try_at`: not before; it is only
    looked at while `state` is waiting. `entity_id`, `customer_id`, `account_id`: whom it is about,
    once that is known. `body` is gone when the account is.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        Index(
            "ix_webhooks_waiting", "try_at", "number", postgresql_where=text("state = 'waiting'")
        ),
        Index("ix_webhooks_unread", "event_id", postgresql_where=text(UNREAD)),
        Index("ix_webhooks_received_at", "received_at"),
        Index("ix_webhooks_entity_id", "entity_id"),
        Index("ix_webhooks_customer_id", "customer_id"),
        Index("ix_webhooks_account_id", "account_id"),
    )

    event_id: Mapped[str] = mapped_column(EVENT_ID, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    event_type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(MOMENT)
    received_at: Mapped[datetime] = mapped_column(MOMENT)
    signature: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(STATE, server_default=text("'waiting'"))
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    try_at: Mapped[datetime] = mapped_column(MOMENT)
    error_code: Mapped[str | None] = mapped_column(String(60))
    settled_at: Mapped[datetime | None] = mapped_column(MOMENT)
    entity_id: Mapped[str | None] = mapped_column(ID)
    customer_id: Mapped[str | None] = mapped_column(ID)
    account_id: Mapped[str | None] = mapped_column(ID)


class Told:
    """Of everything that Paddle tells of."""

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(MOMENT)
    event_id: Mapped[str] = mapped_column(EVENT_ID)


class Customer(Told, Base):
    """Who pays. Paddle has one for each address of e-mail."""

    __tablename__ = "customers"

    email: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(STATE)


class CustomerLink(Base):
    """Whose customer it is: the account that the earliest event says which names both."""

    __tablename__ = "customer_links"
    __table_args__ = (Index("ix_customer_links_account_id", "account_id"),)

    customer_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID)
    occurred_at: Mapped[datetime] = mapped_column(MOMENT)
    event_id: Mapped[str] = mapped_column(EVENT_ID)


class Address(Told, Base):
    """Where a customer is taxed. The country stays when the account goes: invoices rest on it."""

    __tablename__ = "addresses"
    __table_args__ = (Index("ix_addresses_customer_id", "customer_id"),)

    customer_id: Mapped[str | None] = mapped_column(ID)
    country: Mapped[str | None] = mapped_column(String(2))
    postal_code: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(STATE)


class Business(Told, Base):
    """In whose name a customer buys."""

    __tablename__ = "businesses"
    __table_args__ = (Index("ix_businesses_customer_id", "customer_id"),)

    customer_id: Mapped[str | None] = mapped_column(ID)
    name: Mapped[str | None] = mapped_column(Text)
    tax_id: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(STATE)


class Subscription(Told, Base):
    """What is bought. `named_account_id`: by `custom_data`; else it is its customer's account's.

    `change`, `changes_at`: what is scheduled. `price`: of a billing period, in minor units. What
    follows is ours: `ended_told_at`, and when Paddle was last asked to end it, with its account.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        Index("ix_subscriptions_named_account_id", "named_account_id"),
        Index("ix_subscriptions_customer_id", "customer_id"),
    )

    named_account_id: Mapped[str | None] = mapped_column(ID)
    customer_id: Mapped[str | None] = mapped_column(ID)
    address_id: Mapped[str | None] = mapped_column(ID)
    business_id: Mapped[str | None] = mapped_column(ID)
    state: Mapped[str] = mapped_column(STATE)
    price_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))
    price: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(CURRENCY)
    started_at: Mapped[datetime | None] = mapped_column(MOMENT)
    pays_until: Mapped[datetime | None] = mapped_column(MOMENT)
    change: Mapped[str | None] = mapped_column(STATE)
    changes_at: Mapped[datetime | None] = mapped_column(MOMENT)
    canceled_at: Mapped[datetime | None] = mapped_column(MOMENT)
    ended_told_at: Mapped[datetime | None] = mapped_column(MOMENT)
    cancel_asked_at: Mapped[datetime | None] = mapped_column(MOMENT)


class SubscriptionMove(Base):
    """In which state each event found a subscription: grace rests on it."""

    __tablename__ = "subscription_moves"

    subscription_id: Mapped[str] = mapped_column(ID, primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(MOMENT, primary_key=True)
    event_id: Mapped[str] = mapped_column(EVENT_ID, primary_key=True)
    state: Mapped[str] = mapped_column(STATE)


class Transaction(Told, Base):
    """A sale. It is an invoice once it has `billed_at`. Amounts: minor units.

    `charged`: what was to be paid after credits. `lines`: see domain/invoices.py.
    `payment_failed_at`: the first time. `failure_told_at` is ours.
    """

    __tablename__ = "transactions"
    __table_args__ = (
        Index("ix_transactions_named_account_id", "named_account_id"),
        Index("ix_transactions_customer_id", "customer_id"),
        Index("ix_transactions_billed_at", "billed_at"),
        Index(
            "ix_transactions_unbilled",
            "occurred_at",
            postgresql_where=text("billed_at IS NULL"),
        ),
        Index(
            "ix_transactions_failures",
            "id",
            postgresql_where=text("payment_failed_at IS NOT NULL AND failure_told_at IS NULL"),
        ),
    )

    named_account_id: Mapped[str | None] = mapped_column(ID)
    customer_id: Mapped[str | None] = mapped_column(ID)
    address_id: Mapped[str | None] = mapped_column(ID)
    business_id: Mapped[str | None] = mapped_column(ID)
    subscription_id: Mapped[str | None] = mapped_column(ID)
    state: Mapped[str] = mapped_column(STATE)
    invoice_number: Mapped[str | None] = mapped_column(Text)
    billed_at: Mapped[datetime | None] = mapped_column(MOMENT)
    currency: Mapped[str] = mapped_column(CURRENCY)
    subtotal: Mapped[int] = mapped_column(BigInteger)
    tax: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    charged: Mapped[int] = mapped_column(BigInteger)
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    payment_failed_at: Mapped[datetime | None] = mapped_column(MOMENT)
    failure_told_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Adjustment(Told, Base):
    """A refund, a credit or a chargeback on a transaction. `action`, `state`: Paddle's words."""

    __tablename__ = "adjustments"
    __table_args__ = (Index("ix_adjustments_transaction_id", "transaction_id"),)

    transaction_id: Mapped[str] = mapped_column(ID)
    customer_id: Mapped[str | None] = mapped_column(ID)
    action: Mapped[str] = mapped_column(STATE)
    state: Mapped[str] = mapped_column(STATE)
    total: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(CURRENCY)
