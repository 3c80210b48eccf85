"""Ways to what is looked for among millions: unreadable webhooks, sales to be dropped."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the indexes. Webhooks wait meanwhile: Paddle sends them again."""
    op.create_index(
        op.f("ix_webhooks_unread"),
        "webhooks",
        ["event_id"],
        postgresql_where=sa.text("state IN ('failed', 'unreadable') AND body IS NOT NULL"),
    )
    op.create_index(op.f("ix_transactions_billed_at"), "transactions", ["billed_at"])
    op.create_index(
        op.f("ix_transactions_unbilled"),
        "transactions",
        ["occurred_at"],
        postgresql_where=sa.text("billed_at IS NULL"),
    )
