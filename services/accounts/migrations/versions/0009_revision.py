"""The service may see which revision its tables have: `reqrun doctor` compares."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Grant it."""
    op.execute(_GRANTS)


_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_accounts') THEN
        GRANT SELECT ON alembic_version TO reqrun_accounts;
    END IF;
END
$$
"""
