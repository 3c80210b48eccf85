"""Claim and look bring the bodies along, in one round trip."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two functions; the code before them asks for neither."""
    for name in ("claim", "look"):
        run_script(SCRIPTS / f"0004_{name}.sql")
