"""A request that comes alone costs no more than it must."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the statements for one; those for many stay."""
    run_script(SCRIPTS / "0013_alone.sql")
