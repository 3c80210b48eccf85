"""Sums of usage by day, kept where records are added; what was told of a period's limit.

A trigger keeps the sums: in the same transaction, of new records only, whichever release adds
them, and the service needs no right to change what was counted. There are two: `usage_days` by
project and model, whose names a caller may make up by the thousand, and `usage_account_days`
without them, which is at most three rows a day and is what limits and comparisons read.

A deleted account's sums by day become its sums by month; records and names go (decision 0017).
What is dropped after the law's time is whole months, no sooner than the last of their days.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ID = sa.String(40)
COUNTS = ("requests", "attempts", "prompt_tokens", "completion_tokens", "total_tokens")


def upgrade() -> None:
    """Add the sums, fill them from the records, and hand over who closes and drops."""
    op.execute("LOCK TABLE usage_records IN SHARE ROW EXCLUSIVE MODE")
    _create_sums()
    _create_notices()
    _index_by_time()
    for statement in (
        _FILL_DAYS, _FILL_ACCOUNT_DAYS, _COUNT, _COUNT_EACH, _SUM_UP_BEFORE, _SUM_UP, _DROP_CLOSED,
        _DROP_OLD, _REVOKE, _GRANTS,
    ):  # fmt: skip
        op.execute(statement)


def _create_sums() -> None:
    names = (sa.Column("project_id", ID), sa.Column("model", sa.Text))
    _create_sum("usage_days", *names)
    _create_sum("usage_account_days")


def _create_sum(table: str, *names: sa.Column[Any]) -> None:
    """Rows are changed many times an hour: room on their page makes that cheap."""
    by: tuple[sa.Column[Any], ...] = (
        sa.Column("account_id", ID),
        sa.Column("day", sa.Date),
        *names,
        sa.Column("state", sa.String(10)),
    )
    op.create_table(
        table,
        *by,
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint(*(column.name for column in by), name=op.f(f"pk_{table}")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(op.f(f"ix_{table}_day"), table, ["day"], postgresql_using="brin")


def _create_notices() -> None:
    op.create_table(
        "usage_notices",
        sa.Column("account_id", ID),
        sa.Column("period", sa.Date),
        sa.Column("percent", sa.SmallInteger),
        sa.Column("allowed", sa.BigInteger),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_id", "period", "percent", "allowed", name=op.f("pk_usage_notices")
        ),
    )


def _index_by_time() -> None:
    """Sums answer what was asked by account and month."""
    op.create_index(
        op.f("ix_usage_records_account_id_created_at"),
        "usage_records",
        ["account_id", "created_at"],
    )
    op.drop_index(op.f("ix_usage_records_account_id_period"), "usage_records")


_SUMMED = "count(*), sum(attempts), sum(prompt_tokens), sum(completion_tokens), sum(total_tokens)"
_DAY = "(created_at AT TIME ZONE 'UTC')::date"
_BY_MODEL = f"SELECT account_id, {_DAY}, project_id, model, state, {_SUMMED}"
_BY_ACCOUNT = f"SELECT account_id, {_DAY}, state, {_SUMMED}"

_FILL_DAYS = f"INSERT INTO usage_days {_BY_MODEL} FROM usage_records GROUP BY 1, 2, 3, 4, 5"
_FILL_ACCOUNT_DAYS = (
    f"INSERT INTO usage_account_days {_BY_ACCOUNT} FROM usage_records GROUP BY 1, 2, 3"
)

_ADD = ", ".join(f"{name} = s.{name} + excluded.{name}" for name in COUNTS)

# Ordered, so that two who add lock what they share in the same order.
_COUNT = f"""
CREATE FUNCTION count_usage_v1() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO usage_days AS s {_BY_MODEL} FROM added GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (account_id, day, project_id, model, state) DO UPDATE SET {_ADD};
    INSERT INTO usage_account_days AS s {_BY_ACCOUNT} FROM added GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
    ON CONFLICT (account_id, day, state) DO UPDATE SET {_ADD};
    RETURN NULL;
END
$$
"""  # noqa: S608  constants only, here and below

_COUNT_EACH = """
CREATE TRIGGER count_usage AFTER INSERT ON usage_records
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_usage_v1()
"""

# The release before would count a closed account's records into its sums a second time.
_SUM_UP_BEFORE = """
CREATE OR REPLACE FUNCTION sum_up_closed_v1(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE sql AS 'SELECT 0'
"""

_SUM_UP = f"""
CREATE FUNCTION sum_up_closed_v2(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    done integer;
BEGIN
    WITH closed AS MATERIALIZED (
        SELECT d.account_id, d.day, d.state
        FROM (SELECT account_id FROM billing_accounts WHERE closed_at <= p_before) a
        CROSS JOIN LATERAL (
            SELECT u.account_id, u.day, u.state FROM usage_account_days u
            WHERE u.account_id = a.account_id LIMIT p_limit FOR UPDATE SKIP LOCKED
        ) d
        LIMIT p_limit
    ), gone AS (
        DELETE FROM usage_account_days d USING closed c
        WHERE d.account_id = c.account_id AND d.day = c.day AND d.state = c.state
        RETURNING d.*
    ), summed AS (
        INSERT INTO usage_sums AS s
        SELECT account_id, date_trunc('month', day)::date, state, sum(requests), sum(attempts),
            sum(prompt_tokens), sum(completion_tokens), sum(total_tokens)
        FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (account_id, period, state) DO UPDATE SET {_ADD}
    )
    SELECT count(*) INTO done FROM gone;
    RETURN done;
END
$$
"""  # noqa: S608

_DROP_CLOSED = """
CREATE FUNCTION drop_closed_usage_v1(p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    dropped integer;
    done integer;
BEGIN
    DELETE FROM usage_records r WHERE r.request_id = ANY(ARRAY(
        SELECT u.request_id
        FROM (SELECT account_id FROM billing_accounts WHERE closed_at <= p_before) a
        CROSS JOIN LATERAL (
            SELECT o.request_id FROM usage_records o WHERE o.account_id = a.account_id
            LIMIT p_limit FOR UPDATE SKIP LOCKED
        ) u
        LIMIT p_limit
    ));
    GET DIAGNOSTICS done = ROW_COUNT;
    DELETE FROM usage_notices n USING billing_accounts a
    WHERE a.closed_at <= p_before AND n.account_id = a.account_id;
    DELETE FROM usage_days d WHERE d.ctid = ANY(ARRAY(
        SELECT u.ctid
        FROM (SELECT account_id FROM billing_accounts WHERE closed_at <= p_before) a
        CROSS JOIN LATERAL (
            SELECT o.ctid FROM usage_days o WHERE o.account_id = a.account_id
            LIMIT p_limit FOR UPDATE SKIP LOCKED
        ) u
        LIMIT p_limit
    ));
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN greatest(done, dropped);
END
$$
"""

_DROP_OLD = """
CREATE FUNCTION drop_old_usage_v2(p_before date, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    until date := date_trunc(
        'month', least(p_before, (clock_timestamp() - interval '3660 days')::date)
    )::date;
    done integer;
BEGIN
    DELETE FROM usage_records u WHERE u.request_id = ANY(ARRAY(
        SELECT o.request_id FROM usage_records o WHERE o.period < until LIMIT p_limit
    ));
    GET DIAGNOSTICS done = ROW_COUNT;
    DELETE FROM usage_days d WHERE d.ctid = ANY(ARRAY(
        SELECT o.ctid FROM usage_days o WHERE o.day < until LIMIT p_limit
    ));
    DELETE FROM usage_account_days d WHERE d.ctid = ANY(ARRAY(
        SELECT o.ctid FROM usage_account_days o WHERE o.day < until LIMIT p_limit
    ));
    DELETE FROM usage_notices n WHERE n.period < until;
    DELETE FROM usage_sums s WHERE s.period < until;
    RETURN done;
END
$$
"""

_REVOKE = """
REVOKE EXECUTE ON FUNCTION count_usage_v1(), sum_up_closed_v2(timestamptz, integer),
    drop_closed_usage_v1(timestamptz, integer), drop_old_usage_v2(date, integer) FROM PUBLIC
"""

_GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_billing') THEN
        GRANT SELECT ON usage_days, usage_account_days TO reqrun_billing;
        GRANT SELECT, INSERT ON usage_notices TO reqrun_billing;
        GRANT EXECUTE ON FUNCTION sum_up_closed_v2(timestamptz, integer),
            drop_closed_usage_v1(timestamptz, integer), drop_old_usage_v2(date, integer)
            TO reqrun_billing;
    END IF;
END
$$
"""
