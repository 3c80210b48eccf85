"""The autoscaler may see how many slots are held."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Grant it."""
    run_script(SCRIPTS / "0008_scaler.sql")
