"""Which version of the policy somebody was told of, so that nobody is told twice."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; null where there was nothing to tell since they signed up."""
    op.add_column("people", sa.Column("told_version", sa.String(20)))
