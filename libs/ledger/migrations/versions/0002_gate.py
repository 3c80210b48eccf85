"""The gate: nonces, idempotency keys and limits in the accept; one body key per request."""

from alembic import op

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them, and the first two months of partitions."""
    for name in ("tables", "accept", "grants"):
        run_script(SCRIPTS / f"0002_{name}.sql")
    op.execute("SELECT make_body_partitions_v2(60)")
