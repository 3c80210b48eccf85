"""What is done once a night, by whichever worker takes it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table, and give the service what it uses."""
    op.create_table(
        "nights",
        sa.Column("name", sa.String(20)),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("drift", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_nights")),
    )
    op.execute(_GRANTS)


_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_billing') THEN
        GRANT SELECT, INSERT, UPDATE ON nights TO reqrun_billing;
    END IF;
END
$$
"""
