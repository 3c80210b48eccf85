"""A project may keep records of its requests for less long than its account's plan allows."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; null follows the account."""
    op.add_column("projects", sa.Column("metadata_seconds", sa.Integer))
    op.create_check_constraint(
        op.f("ck_projects_metadata_is_positive"), "projects", "metadata_seconds > 0"
    )
