"""Books are closed with their account: what it used stays as sums. Old usage goes.

The service can neither change nor delete what was counted. Two functions of the owner's can, each
for one reason: the account is closed, or the law's time is over (libs/common/retention.py).
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.String(40)


def upgrade() -> None:
    """Add the sums, the two functions, and the right to them."""
    op.add_column("billing_accounts", sa.Column("closed_at", sa.DateTime(timezone=True)))
    op.create_index(
        op.f("ix_billing_accounts_closed_at"),
        "billing_accounts",
        ["closed_at"],
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_usage_records_period"), "usage_records", ["period"], postgresql_using="brin"
    )
    op.create_table(
        "usage_sums",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("period", sa.Date, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in (
                "requests", "attempts", "prompt_tokens", "completion_tokens", "total_tokens",
            )
        ),
        sa.PrimaryKeyConstraint("account_id", "period", "state", name=op.f("pk_usage_sums")),
    )  # fmt: skip
    for statement in (_SUM_UP, _DROP_OLD, _REVOKE, _GRANTS):
        op.execute(statement)


_SUM_UP = """
CREATE FUNCTION sum_up_closed_v1(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done integer;
BEGIN
    WITH closed AS MATERIALIZED (
        SELECT u.request_id
        FROM (SELECT account_id FROM billing_accounts WHERE closed_at <= p_before) a
        CROSS JOIN LATERAL (
            SELECT r.request_id FROM usage_records r WHERE r.account_id = a.account_id
            LIMIT p_limit FOR UPDATE SKIP LOCKED
        ) u
        LIMIT p_limit
    ), gone AS (
        DELETE FROM usage_records u WHERE u.request_id = ANY(ARRAY(SELECT request_id FROM closed))
        RETURNING *
    ), summed AS (
        INSERT INTO usage_sums AS s
        SELECT account_id, period, state, count(*), sum(attempts), sum(prompt_tokens),
            sum(completion_tokens), sum(total_tokens)
        FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (account_id, period, state) DO UPDATE
        SET requests = s.requests + excluded.requests,
            attempts = s.attempts + excluded.attempts,
            prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = s.completion_tokens + excluded.completion_tokens,
            total_tokens = s.total_tokens + excluded.total_tokens
    )
    SELECT count(*) INTO done FROM gone;
    RETURN done;
END
$$
"""

_DROP_OLD = """
CREATE FUNCTION drop_old_usage_v1(p_before date, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    until date := least(p_before, (clock_timestamp() - interval '3660 days')::date);
    done integer;
BEGIN
    DELETE FROM usage_records u WHERE u.request_id = ANY(ARRAY(
        SELECT o.request_id FROM usage_records o WHERE o.period < until LIMIT p_limit
    ));
    GET DIAGNOSTICS done = ROW_COUNT;
    DELETE FROM usage_sums s WHERE s.period < until;
    RETURN done;
END
$$
"""

_REVOKE = """
REVOKE EXECUTE ON FUNCTION sum_up_closed_v1(timestamptz, integer),
    drop_old_usage_v1(date, integer) FROM PUBLIC
"""

_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_billing') THEN
        GRANT SELECT ON usage_sums TO reqrun_billing;
        GRANT UPDATE (closed_at) ON billing_accounts TO reqrun_billing;
        GRANT EXECUTE ON FUNCTION sum_up_closed_v1(timestamptz, integer),
            drop_old_usage_v1(date, integer) TO reqrun_billing;
    END IF;
END
$$
"""
