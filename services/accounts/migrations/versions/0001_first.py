"""The first tables: accounts, projects, API keys, provider connections, audit, outbox."""

import sqlalchemy as sa
from alembic import op

from libs.common.outbox import create_sql

revision = "0001"
down_revision = None

ID = sa.String(40)
NAME = sa.String(100)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and give the service what it uses."""
    _create_accounts()
    _create_projects()
    _create_api_keys()
    _create_provider_connections()
    _create_audit_events()
    for statement in create_sql():
        op.execute(statement)
    op.execute(_GRANTS)


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("plan", sa.String(20), nullable=False),
        sa.Column("requests_per_minute", sa.Integer, nullable=False),
        sa.Column("pending", sa.Integer, nullable=False),
        sa.Column("requests_per_month", sa.BigInteger, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("body_bytes", sa.Integer, nullable=False),
        sa.Column("retention_seconds", sa.Integer, nullable=False),
        sa.Column("is_suspended", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.CheckConstraint(
            "least(requests_per_minute, pending, requests_per_month, running, body_bytes,"
            " retention_seconds) > 0",
            name=op.f("ck_accounts_limits_are_positive"),
        ),
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("running", sa.Integer),
        sa.Column("retention_seconds", sa.Integer),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("on_unknown_outcome", sa.String(10), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_projects_account_id_accounts")
        ),
        sa.CheckConstraint(
            "least(requests_per_minute, running, retention_seconds) > 0",
            name=op.f("ck_projects_limits_are_positive"),
        ),
        sa.CheckConstraint(
            "on_unknown_outcome IN ('retry', 'fail')",
            name=op.f("ck_projects_on_unknown_outcome"),
        ),
    )
    op.create_index(op.f("ix_projects_account_id"), "projects", ["account_id"])


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("pepper_id", sa.SmallInteger, nullable=False),
        sa.Column("prefix", sa.String(20), nullable=False),
        sa.Column("last_four", sa.String(4), nullable=False),
        sa.Column("is_drop_in", sa.Boolean, nullable=False),
        sa.Column("needs_signature", sa.Boolean, nullable=False),
        sa.Column("sealed_signing_secret", sa.LargeBinary),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_api_keys_project_id_projects")
        ),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("ck_api_keys_digest_length")),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_api_keys_mode")),
    )
    op.create_index(op.f("ix_api_keys_project_id"), "api_keys", ["project_id"])


def _create_provider_connections() -> None:
    op.create_table(
        "provider_connections",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("base_url", sa.String(500), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("key_hint", sa.String(20), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_connections")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_provider_connections_project_id_projects"),
        ),
        sa.UniqueConstraint("project_id", name=op.f("uq_provider_connections_project_id")),
    )


def _create_audit_events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("project_id", ID),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("actor", ID, nullable=False),
        sa.Column("what", sa.String(60), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_account_id_at"), "audit_events", ["account_id", "at"])


# The role is made by whoever runs the database (deploy/). It adds audit events and never changes
# one, and deletes nothing but what the outbox has published.
_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_accounts') THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reqrun_accounts;
        GRANT USAGE ON SCHEMA public TO reqrun_accounts;
        GRANT SELECT, INSERT, UPDATE ON accounts, projects, api_keys, provider_connections
            TO reqrun_accounts;
        GRANT SELECT, INSERT ON audit_events TO reqrun_accounts;
        GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO reqrun_accounts;
    END IF;
END
$$
"""
