"""Data keys in a table of their own; projects can be erased and choose who calls; keys rotate.

A migration cannot seal: projects from before get their data key at the first question about them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.String(40)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table, mark what projects need, and give the service what it uses."""
    op.add_column("projects", sa.Column("data_key_made_at", MOMENT))
    op.add_column("projects", sa.Column("deleted_at", MOMENT))
    networks: sa.Column[list[str]] = sa.Column(
        "allowed_addresses", sa.ARRAY(sa.String(50)), nullable=False, server_default="{}"
    )
    op.add_column("projects", networks)
    op.add_column("api_keys", sa.Column("rotated_at", MOMENT))
    op.create_table(
        "data_keys",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_data_keys")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_data_keys_project_id_projects")
        ),
    )
    op.execute(_GRANTS)


# DELETE is what erasing a project needs: its data key and its provider key go, other rows stay.
_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_accounts') THEN
        REVOKE ALL ON data_keys FROM reqrun_accounts;
        GRANT SELECT, INSERT, UPDATE, DELETE ON data_keys TO reqrun_accounts;
        GRANT DELETE ON provider_connections TO reqrun_accounts;
    END IF;
END
$$
"""
