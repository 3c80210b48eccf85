"""Life after submit: lists, cancel, erase, pause, purge."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what they need: indexes, a way to drop a day, grants."""
    for name in ("tables", "partitions", "grants"):
        run_script(SCRIPTS / f"0003_{name}.sql")
