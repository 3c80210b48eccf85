"""Ways to what is looked for among millions: webhooks that nobody could read, sales to drop."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_INDEXES: Final[tuple[tuple[str, str, str, str | None], ...]] = (
    (
        "ix_webhooks_unread",
        "webhooks",
        "event_id",
        "state IN ('failed', 'unreadable') AND body IS NOT NULL",
    ),
    ("ix_transactions_billed_at", "transactions", "billed_at", None),
    ("ix_transactions_unbilled", "transactions", "occurred_at", "billed_at IS NULL"),
)


def upgrade() -> None:
    """Make the indexes while everybody works; a try that was broken off may have left a part."""
    with op.get_context().autocommit_block():
        for name, table, column, where in _INDEXES:
            some: dict[str, Any] = {"postgresql_where": sa.text(where)} if where else {}
            op.drop_index(op.f(name), table, if_exists=True, postgresql_concurrently=True)
            op.create_index(op.f(name), table, [column], postgresql_concurrently=True, **some)
