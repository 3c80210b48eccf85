"""Deletion of accounts, restriction, and how long records of requests are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns, what may be done to audit events, and the rights to it."""
    op.add_column(
        "accounts",
        sa.Column("is_restricted", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    for name in ("leaves_at", "erasing_at", "erased_at"):
        op.add_column("accounts", sa.Column(name, MOMENT))
    op.add_column(
        "accounts",
        sa.Column("metadata_seconds", sa.Integer, nullable=False, server_default="2592000"),
    )
    op.execute("UPDATE accounts SET metadata_seconds = 604800 WHERE plan = 'free'")
    op.create_check_constraint(
        op.f("ck_accounts_metadata_is_positive"), "accounts", "metadata_seconds > 0"
    )
    op.create_index(
        op.f("ix_accounts_leaves_at"),
        "accounts",
        ["leaves_at"],
        postgresql_where=sa.text("leaves_at IS NOT NULL AND erased_at IS NULL"),
    )
    op.create_index(op.f("ix_audit_events_at"), "audit_events", ["at"])
    op.create_index(op.f("ix_sessions_seen_at"), "sessions", ["seen_at"])
    for statement in (_STRIP_AUDIT, _DROP_AUDIT, _REVOKE, _GRANTS):
        op.execute(statement)


# The service may neither change nor delete an audit event. These two run with their owner's rights,
# and only do what the privacy policy asks for.
_STRIP_AUDIT = """
CREATE FUNCTION strip_audit_events_v1(p_account text, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done integer;
BEGIN
    IF NOT EXISTS (SELECT FROM accounts WHERE id = p_account AND erasing_at IS NOT NULL) THEN
        RAISE EXCEPTION 'this account is not being deleted' USING ERRCODE = '42501';
    END IF;
    UPDATE audit_events e
    SET network = NULL, detail = NULL,
        actor = CASE WHEN e.actor LIKE 'usr\\_%' THEN 'person' ELSE e.actor END,
        subject_id = CASE WHEN e.subject_id LIKE 'usr\\_%' THEN 'person' ELSE e.subject_id END
    WHERE e.id = ANY(ARRAY(
        SELECT o.id FROM audit_events o
        WHERE o.account_id = p_account AND (
            o.network IS NOT NULL OR o.detail IS NOT NULL
            OR o.actor LIKE 'usr\\_%' OR o.subject_id LIKE 'usr\\_%')
        LIMIT p_limit
    ));
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$
"""

_DROP_AUDIT = """
CREATE FUNCTION drop_audit_events_v1(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done integer;
BEGIN
    DELETE FROM audit_events e
    WHERE e.id = ANY(ARRAY(
        SELECT o.id FROM audit_events o
        WHERE o.at < least(p_before, clock_timestamp() - interval '400 days')
        ORDER BY o.at LIMIT p_limit
    ));
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$
"""

_REVOKE = """
REVOKE EXECUTE ON FUNCTION strip_audit_events_v1(text, integer),
    drop_audit_events_v1(timestamptz, integer) FROM PUBLIC
"""

_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_accounts') THEN
        GRANT EXECUTE ON FUNCTION strip_audit_events_v1(text, integer),
            drop_audit_events_v1(timestamptz, integer) TO reqrun_accounts;
        GRANT DELETE ON api_keys TO reqrun_accounts;
    END IF;
END
$$
"""
