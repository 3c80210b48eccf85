"""Where changes came from, and more of what; support messages; what looks like abuse."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ID = sa.String(40)
NETWORK = sa.String(50)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and give the service what it uses."""
    op.add_column("accounts", sa.Column("suspension_reason", sa.String(200)))
    op.add_column("audit_events", sa.Column("network", NETWORK))
    op.add_column("audit_events", sa.Column("detail", sa.String(200)))
    _create_support_messages()
    _create_support_entries()
    op.create_table(
        "abuse_signals",
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("network", NETWORK, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("what", "network", "started_at", name=op.f("pk_abuse_signals")),
    )
    op.create_index(op.f("ix_abuse_signals_started_at"), "abuse_signals", ["started_at"])
    op.execute(_GRANTS)


def _create_support_messages() -> None:
    op.create_table(
        "support_messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("subject", sa.String(150), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_support_messages")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_support_messages_account_id_accounts")
        ),
        sa.CheckConstraint(
            "kind IN ('question', 'privacy', 'bug')", name=op.f("ck_support_messages_kind")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'answered', 'closed')", name=op.f("ck_support_messages_state")
        ),
        sa.CheckConstraint(
            "(closed_at IS NOT NULL) = (state = 'closed')",
            name=op.f("ck_support_messages_has_end"),
        ),
    )
    for column in ("account_id", "closed_at"):
        op.create_index(op.f(f"ix_support_messages_{column}"), "support_messages", [column])


def _create_support_entries() -> None:
    op.create_table(
        "support_entries",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("author", sa.String(20), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_support_entries")),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["support_messages.id"],
            name=op.f("fk_support_entries_message_id_support_messages"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "author IN ('customer', 'operator')", name=op.f("ck_support_entries_author")
        ),
    )
    op.create_index(op.f("ix_support_entries_message_id"), "support_entries", ["message_id"])


# DELETE is for retention and for who deletes an account.
_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_accounts') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON support_messages, support_entries, abuse_signals
            TO reqrun_accounts;
    END IF;
END
$$
"""
