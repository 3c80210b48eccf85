-- Accept: one transaction for all callers of an instant, one round trip, one verdict a caller.
-- The arrays run in parallel, one element an item. A request gets a slot where its project has one
-- free and nothing due is waiting before it; else the dispatcher gives it one later.
-- Lock order: counters of accounts, then of projects, both sorted; they are locked after the large
-- inserts and held for one small one. New live rows are nobody else's to lock.
--
-- Everything here is an insert from arrays or a look-up by key, so its plans are made once a session
-- and not for every batch, which cost more than the work. Without sequential scans, because a plan
-- made while `live` was empty would scan it for ever.
CREATE FUNCTION accept_v1(
    p_ids text[], p_accounts text[], p_projects text[], p_keys text[], p_modes text[],
    p_endpoints text[], p_models text[], p_connections text[], p_bodies bytea[],
    p_deadlines integer[], p_max_attempts integer[], p_call_timeouts integer[],
    p_fails_on_unknown boolean[], p_retentions integer[], p_running_limits integer[]
) RETURNS TABLE (request_id text, slot_rank integer, accepted_at timestamptz)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    t timestamptz := clock_timestamp();
    this_period date := date_trunc('month', t AT TIME ZONE 'UTC')::date;
    days date[];
    added integer;
BEGIN
    -- One expiry per request, fixed now: key, request and result share it.
    SELECT array_agg(
        ((t + make_interval(secs => greatest(retention, deadline + 86400))) AT TIME ZONE 'UTC')::date + 1
        ORDER BY ord
    ) INTO days
    FROM unnest(p_retentions, p_deadlines) WITH ORDINALITY AS u (retention, deadline, ord);

    INSERT INTO requests (
        id, account_id, project_id, key_id, mode, endpoint, model, created_at, body_expires_on
    )
    SELECT u.id, u.account, u.project, u.key, u.mode, u.endpoint, u.model, t, u.day
    FROM unnest(p_ids, p_accounts, p_projects, p_keys, p_modes, p_endpoints, p_models, days)
        AS u (id, account, project, key, mode, endpoint, model, day);

    INSERT INTO bodies (request_id, kind, number, expires_on, content)
    SELECT u.id, 'request', 0, u.day, u.body FROM unnest(p_ids, days, p_bodies) AS u (id, day, body);

    -- A missing counter is made from what the key allows, never read as unlimited.
    INSERT INTO account_counters (account_id, mode, period)
    SELECT DISTINCT u.account, u.mode, this_period
    FROM unnest(p_accounts, p_modes) AS u (account, mode)
    WHERE NOT EXISTS (
        SELECT FROM account_counters c WHERE c.account_id = u.account AND c.mode = u.mode
    )
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;

    INSERT INTO project_counters (project_id, mode, running_limit)
    SELECT u.project, u.mode, max(u.running_limit)
    FROM unnest(p_projects, p_modes, p_running_limits) AS u (project, mode, running_limit)
    WHERE NOT EXISTS (
        SELECT FROM project_counters c WHERE c.project_id = u.project AND c.mode = u.mode
    )
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT DO NOTHING;

    WITH wanted AS (
        SELECT u.account, u.mode, count(*)::integer AS n
        FROM unnest(p_accounts, p_modes) AS u (account, mode) GROUP BY 1, 2
    ), counter AS MATERIALIZED (
        SELECT c.account_id, c.mode, w.n
        FROM account_counters c JOIN wanted w ON c.account_id = w.account AND c.mode = w.mode
        ORDER BY c.account_id, c.mode FOR UPDATE OF c
    )
    UPDATE account_counters c
    SET pending = c.pending + w.n, period = this_period,
        accepted = CASE WHEN c.period = this_period THEN c.accepted ELSE 0 END + w.n
    FROM counter w WHERE c.account_id = w.account_id AND c.mode = w.mode;

    RETURN QUERY
    WITH item AS MATERIALIZED (
        SELECT u.*, row_number() OVER (PARTITION BY u.project, u.mode ORDER BY u.ord)::integer AS rank
        FROM unnest(
            p_ids, p_accounts, p_projects, p_modes, p_endpoints, p_models, p_connections,
            p_deadlines, p_max_attempts, p_call_timeouts, p_fails_on_unknown, days, p_running_limits
        ) WITH ORDINALITY AS u (
            id, account, project, mode, endpoint, model, connection, deadline, max_attempts,
            call_timeout, fails_on_unknown, day, running_limit, ord
        )
    ), wanted AS (
        SELECT i.project, i.mode, count(*)::integer AS n, max(i.running_limit) AS running_limit
        FROM item i GROUP BY 1, 2
    ), counter AS MATERIALIZED (
        SELECT c.project_id, c.mode, c.slots, w.running_limit,
            CASE WHEN c.is_paused OR EXISTS (
                SELECT FROM live l
                WHERE l.slot_at IS NULL AND l.project_id = c.project_id AND l.mode = c.mode
                    AND l.state IN ('queued', 'retrying') AND l.not_before <= t
            ) THEN 0 ELSE greatest(least(w.n, w.running_limit - c.slots), 0) END AS granted
        FROM project_counters c JOIN wanted w ON c.project_id = w.project AND c.mode = w.mode
        ORDER BY c.project_id, c.mode FOR UPDATE OF c
    ), settled AS (
        UPDATE project_counters c
        SET slots = c.slots + g.granted, running_limit = g.running_limit
        FROM counter g
        WHERE c.project_id = g.project_id AND c.mode = g.mode
            AND (g.granted > 0 OR c.running_limit <> g.running_limit)
    ), added AS (
        INSERT INTO live (
            id, account_id, project_id, mode, state, endpoint, model, connection_id, created_at,
            updated_at, slot_at, not_before, due_at, deadline, max_attempts, call_timeout,
            fails_on_unknown, body_expires_on
        )
        SELECT i.id, i.account, i.project, i.mode, 'queued', i.endpoint, i.model, i.connection, t,
            t, CASE WHEN i.rank <= g.granted THEN t END, t,
            CASE WHEN i.rank <= g.granted
                THEN least(t + interval '5 s', t + make_interval(secs => i.deadline))
                ELSE t + make_interval(secs => i.deadline) END,
            t + make_interval(secs => i.deadline), i.max_attempts, i.call_timeout,
            i.fails_on_unknown, i.day
        FROM item i JOIN counter g ON g.project_id = i.project AND g.mode = i.mode
        RETURNING id
    )
    SELECT i.id, CASE WHEN i.rank <= g.granted THEN g.slots + i.rank END, t
    FROM item i JOIN counter g ON g.project_id = i.project AND g.mode = i.mode
    ORDER BY i.ord;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added <> cardinality(p_ids) THEN
        RAISE EXCEPTION 'a counter row vanished' USING ERRCODE = '40001';
    END IF;
END
$$;
