"""The gateway may see what is being erased: usage of it is not compared."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Grant it."""
    run_script(SCRIPTS / "0009_usage.sql")
