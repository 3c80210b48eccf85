"""The monthly limit counts from a day of the account's own."""

from libs.common.migrations import run_script
from libs.ledger.migrations import SCRIPTS

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the rule of periods, and the accept that obeys it."""
    for name in ("periods", "accept"):
        run_script(SCRIPTS / f"0007_{name}.sql")
