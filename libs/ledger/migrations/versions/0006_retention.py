"""Retention of records, and erasing all that is known of a project."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the window, what is to be forgotten, and who may do that."""
    for name in ("tables", "accept", "retire", "forget", "grants"):
        run_script(SCRIPTS / f"0006_{name}.sql")
