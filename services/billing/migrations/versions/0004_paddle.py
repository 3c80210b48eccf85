"""What Paddle tells: the inbox, the newest state of its things; the effective plan; the outbox.

The service deletes nothing of this but what the outbox has published. Functions of the owner's do,
and see for themselves that the time is over (libs/common/retention.py).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from libs.common.outbox import create_sql

revision = "0004"
down_revision = "0003"

ID = sa.String(40)
EVENT_ID = sa.String(80, collation="C")
STATE = sa.String(20)
CURRENCY = sa.String(3)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and give the service what it uses."""
    _extend_accounts()
    _create_webhooks()
    _create_customers()
    _create_subscriptions()
    _create_payments()
    for statement in (
        *create_sql(), _DROP_WEBHOOKS, _DROP_STRANGERS, _DROP_PAYMENTS, _REVOKE, _GRANTS,
    ):  # fmt: skip
        op.execute(statement)


def _extend_accounts() -> None:
    """The release before adds accounts on plan `operator`."""
    for column in (
        sa.Column("effective_plan", sa.String(20), server_default=sa.text("'operator'")),
        sa.Column("anchor_day", sa.SmallInteger, server_default=sa.text("1")),
        sa.Column("plan_version", sa.Integer, server_default=sa.text("0")),
    ):
        column.nullable = False
        op.add_column("billing_accounts", column)
    op.add_column("billing_accounts", sa.Column("due_at", MOMENT))
    op.execute("UPDATE billing_accounts SET effective_plan = plan")
    op.create_index(
        op.f("ix_billing_accounts_due_at"),
        "billing_accounts",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL AND closed_at IS NULL"),
    )


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("event_id", EVENT_ID),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("state", STATE, server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("tries", sa.SmallInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("try_at", MOMENT, nullable=False),
        sa.Column("error_code", sa.String(60)),
        sa.Column("settled_at", MOMENT),
        sa.Column("entity_id", ID),
        sa.Column("customer_id", ID),
        sa.Column("account_id", ID),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_webhooks")),
    )
    op.create_index(
        op.f("ix_webhooks_waiting"),
        "webhooks",
        ["try_at", "number"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    for name in ("received_at", "entity_id", "customer_id", "account_id"):
        _index("webhooks", name)


def _create_customers() -> None:
    _create("customers", sa.Column("email", sa.Text), _state())
    op.create_table(
        "customer_links",
        sa.Column("customer_id", ID),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("event_id", EVENT_ID, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_links")),
    )
    _index("customer_links", "account_id")
    _create(
        "addresses",
        sa.Column("customer_id", ID),
        sa.Column("country", sa.String(2)),
        sa.Column("postal_code", sa.Text),
        _state(),
    )
    _index("addresses", "customer_id")
    _create(
        "businesses",
        sa.Column("customer_id", ID),
        sa.Column("name", sa.Text),
        sa.Column("tax_id", sa.Text),
        _state(),
    )
    _index("businesses", "customer_id")


def _create_subscriptions() -> None:
    _create(
        "subscriptions",
        *_whose(),
        _state(),
        sa.Column("price_ids", ARRAY(sa.Text), nullable=False),
        sa.Column("price", sa.BigInteger),
        sa.Column("currency", CURRENCY, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("pays_until", MOMENT),
        sa.Column("change", STATE),
        sa.Column("changes_at", MOMENT),
        sa.Column("canceled_at", MOMENT),
        sa.Column("ended_told_at", MOMENT),
        sa.Column("cancel_asked_at", MOMENT),
    )
    op.create_table(
        "subscription_moves",
        sa.Column("subscription_id", ID),
        sa.Column("occurred_at", MOMENT),
        sa.Column("event_id", EVENT_ID),
        _state(),
        sa.PrimaryKeyConstraint(
            "subscription_id", "occurred_at", "event_id", name=op.f("pk_subscription_moves")
        ),
    )
    for name in ("named_account_id", "customer_id"):
        _index("subscriptions", name)


def _create_payments() -> None:
    _create(
        "transactions",
        *_whose(),
        sa.Column("subscription_id", ID),
        _state(),
        sa.Column("invoice_number", sa.Text),
        sa.Column("billed_at", MOMENT),
        sa.Column("currency", CURRENCY, nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("subtotal", "tax", "total", "charged")
        ),
        sa.Column("lines", JSONB, nullable=False),
        sa.Column("payment_failed_at", MOMENT),
        sa.Column("failure_told_at", MOMENT),
    )
    for name in ("named_account_id", "customer_id"):
        _index("transactions", name)
    op.create_index(
        op.f("ix_transactions_failures"),
        "transactions",
        ["id"],
        postgresql_where=sa.text("payment_failed_at IS NOT NULL AND failure_told_at IS NULL"),
    )
    _create(
        "adjustments",
        sa.Column("transaction_id", ID, nullable=False),
        sa.Column("customer_id", ID),
        sa.Column("action", STATE, nullable=False),
        _state(),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("currency", CURRENCY, nullable=False),
    )
    _index("adjustments", "transaction_id")


def _create(table: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        table,
        sa.Column("id", ID),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.Column("event_id", EVENT_ID, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _state() -> sa.Column[Any]:
    return sa.Column("state", STATE, nullable=False)


def _whose() -> list[sa.Column[Any]]:
    names = ("named_account_id", "customer_id", "address_id", "business_id")
    return [sa.Column(name, ID) for name in names]


def _index(table: str, column: str) -> None:
    op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


_DROP_WEBHOOKS = """
CREATE FUNCTION drop_old_webhooks_v1(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done integer;
BEGIN
    DELETE FROM webhooks w WHERE w.event_id = ANY(ARRAY(
        SELECT o.event_id FROM webhooks o
        WHERE o.received_at < least(p_before, clock_timestamp() - interval '30 days')
        LIMIT p_limit
    ));
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$
"""

# Whoever shops elsewhere at the same seller's is told of here too, and nobody of ours.
_DROP_STRANGERS = """
CREATE FUNCTION drop_strangers_v1(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    until timestamptz := least(p_before, clock_timestamp() - interval '30 days');
    strangers text[] := ARRAY(
        SELECT c.id FROM customers c WHERE c.occurred_at < until
        AND NOT EXISTS (SELECT FROM customer_links l WHERE l.customer_id = c.id)
        LIMIT p_limit
    );
    done integer;
BEGIN
    DELETE FROM customers c WHERE c.id = ANY(strangers);
    GET DIAGNOSTICS done = ROW_COUNT;
    DELETE FROM addresses a WHERE a.occurred_at < until
        AND NOT EXISTS (SELECT FROM customer_links l WHERE l.customer_id = a.customer_id);
    DELETE FROM businesses b WHERE b.occurred_at < until
        AND NOT EXISTS (SELECT FROM customer_links l WHERE l.customer_id = b.customer_id);
    RETURN done;
END
$$
"""

# What was never billed is no invoice. Subscriptions go with the last invoice that rests on them.
_DROP_PAYMENTS = """
CREATE FUNCTION drop_old_payments_v1(
    p_before timestamptz, p_unbilled_before timestamptz, p_limit integer
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    until timestamptz := least(p_before, clock_timestamp() - interval '3660 days');
    unbilled timestamptz := least(p_unbilled_before, clock_timestamp() - interval '30 days');
    done integer;
BEGIN
    DELETE FROM transactions t WHERE t.id = ANY(ARRAY(
        SELECT o.id FROM transactions o
        WHERE o.billed_at < until OR (o.billed_at IS NULL AND o.occurred_at < unbilled)
        LIMIT p_limit
    ));
    GET DIAGNOSTICS done = ROW_COUNT;
    DELETE FROM adjustments a WHERE a.occurred_at < until;
    DELETE FROM subscription_moves m USING subscriptions s
        WHERE s.state = 'canceled' AND s.occurred_at < until AND m.subscription_id = s.id;
    DELETE FROM subscriptions s WHERE s.state = 'canceled' AND s.occurred_at < until;
    RETURN done;
END
$$
"""

_REVOKE = """
REVOKE EXECUTE ON FUNCTION drop_old_webhooks_v1(timestamptz, integer),
    drop_strangers_v1(timestamptz, integer),
    drop_old_payments_v1(timestamptz, timestamptz, integer) FROM PUBLIC
"""

_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_billing') THEN
        GRANT UPDATE (plan, effective_plan, anchor_day, plan_version, due_at)
            ON billing_accounts TO reqrun_billing;
        GRANT SELECT, INSERT, UPDATE ON webhooks, customers, customer_links, addresses, businesses,
            subscriptions, transactions, adjustments TO reqrun_billing;
        GRANT SELECT, INSERT ON subscription_moves TO reqrun_billing;
        GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO reqrun_billing;
        GRANT EXECUTE ON FUNCTION drop_old_webhooks_v1(timestamptz, integer),
            drop_strangers_v1(timestamptz, integer),
            drop_old_payments_v1(timestamptz, timestamptz, integer) TO reqrun_billing;
    END IF;
END
$$
"""
