"""Large results are not brought with others'."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the look that leaves them out."""
    run_script(SCRIPTS / "0010_look.sql")
