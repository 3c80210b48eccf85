"""The first tables: billing accounts and usage records."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(40)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and give the service what it uses."""
    _create_billing_accounts()
    _create_usage_records()
    op.execute(_GRANTS)


def _create_billing_accounts() -> None:
    op.create_table(
        "billing_accounts",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("plan", sa.String(20), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_billing_accounts")),
    )


def _create_usage_records() -> None:
    op.create_table(
        "usage_records",
        sa.Column("request_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("total_tokens", sa.Integer, nullable=False),
        sa.Column("period", sa.Date, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_usage_records")),
        sa.CheckConstraint(
            "state IN ('completed', 'failed', 'cancelled')", name=op.f("ck_usage_records_state")
        ),
        sa.CheckConstraint(
            "least(attempts, prompt_tokens, completion_tokens, total_tokens) >= 0",
            name=op.f("ck_usage_records_counts_are_not_negative"),
        ),
    )
    op.create_index(
        op.f("ix_usage_records_account_id_period"), "usage_records", ["account_id", "period"]
    )


# The role is made by whoever runs the database (deploy/). What was counted stays as it was.
_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_billing') THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reqrun_billing;
        GRANT USAGE ON SCHEMA public TO reqrun_billing;
        GRANT SELECT, INSERT ON billing_accounts, usage_records TO reqrun_billing;
    END IF;
END
$$
"""
