"""The service may see which revision its tables have: `reqrun doctor` compares."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Grant it."""
    op.execute(_GRANTS)


_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_billing') THEN
        GRANT SELECT ON alembic_version TO reqrun_billing;
    END IF;
END
$$
"""
