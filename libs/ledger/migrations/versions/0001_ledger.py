"""The request ledger: tables, accept, partitions, grants."""

from alembic import op

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything, and the first two months of partitions."""
    for name in ("tables", "partitions", "accept", "grants"):
        run_script(SCRIPTS / f"0001_{name}.sql")
    op.execute("SELECT make_body_partitions_v1(60)")
