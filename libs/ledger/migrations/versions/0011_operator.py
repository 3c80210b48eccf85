"""The operator's program may read how requests stand."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Grant it."""
    run_script(SCRIPTS / "0011_operator.sql")
