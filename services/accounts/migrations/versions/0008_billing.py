"""Plans come from billing: an account's version of it, its periods, and what was told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and the table, and the rights to it."""
    op.add_column(
        "accounts", sa.Column("plan_version", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column(
        "accounts", sa.Column("anchor_day", sa.SmallInteger, nullable=False, server_default="1")
    )
    op.add_column("accounts", sa.Column("payment_due_at", MOMENT))
    op.create_check_constraint(
        op.f("ck_accounts_anchor_day_is_a_day"), "accounts", "anchor_day BETWEEN 1 AND 31"
    )
    op.create_table(
        "notices",
        sa.Column("account_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("told_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_told_at"), "notices", ["told_at"])
    op.execute(_GRANTS)


_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_accounts') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON notices TO reqrun_accounts;
    END IF;
END
$$
"""
