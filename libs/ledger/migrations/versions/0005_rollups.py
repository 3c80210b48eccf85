"""Roll-ups: what ended, by hour and by day; all that has ended so far is counted here."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them. The code before it goes on: what it ends meanwhile is counted afterwards."""
    for name in ("rollups", "roll_up", "rolled_up", "grants"):
        run_script(SCRIPTS / f"0005_{name}.sql")
