"""Lists: what waits, by its id. Made while everybody works: it reads all that is open."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Open requests of one state, newest first, or of one model among them: else all of a project's are
# sorted (measured beside 100,000: 190 ms). Rows with a slot are not in it, so that what gets one at
# once, and every claim and renewal, pays nothing. Its condition is said as no other statement says
# it: plans that were made while `live` was empty would take it for live_waiting.
_MAKE = """
CREATE INDEX CONCURRENTLY live_listed ON live (project_id, mode, state, id) INCLUDE (model)
WHERE (slot_at IS NULL) IS TRUE
"""


def upgrade() -> None:
    """Add it; a try that was broken off may have left a part."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS live_listed")
        op.execute(_MAKE)
