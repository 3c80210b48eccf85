-- Counts requests that have ended, each of them once: who calls this sees to that.
CREATE FUNCTION count_ended_v1(p_ended ended_v1[]) RETURNS integer
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    WITH ended AS MATERIALIZED (
        SELECT e.*, e.state <> 'cancelled' AS is_timed,
            greatest(0, extract(epoch FROM e.finished_at - e.created_at) * 1000) AS total_ms,
            coalesce(a.ms, 0) AS provider_ms
        FROM unnest(p_ended) e
        CROSS JOIN LATERAL (
            SELECT sum(extract(epoch FROM a.finished_at - a.sent_at) * 1000) AS ms
            FROM attempts a WHERE a.request_id = e.id
        ) a
    ), stepped AS MATERIALIZED (
        SELECT e.*, s.step, date_trunc(s.step, e.finished_at, 'UTC') AS starts_at
        FROM ended e CROSS JOIN (VALUES ('hour'), ('day')) AS s (step)
    ), tally AS MATERIALIZED (
        SELECT project_id, mode, step, starts_at,
            count(*) FILTER (WHERE state = 'completed') AS completed,
            count(*) FILTER (WHERE state = 'failed') AS failed,
            count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE attempts > 1) AS repeated,
            sum(attempts) AS attempts,
            sum(prompt_tokens) AS prompt_tokens,
            sum(completion_tokens) AS completion_tokens,
            round(coalesce(sum(greatest(0, total_ms - provider_ms)) FILTER (WHERE is_timed), 0))
                AS waiting_ms,
            round(coalesce(sum(provider_ms) FILTER (WHERE is_timed), 0)) AS provider_ms
        FROM stepped GROUP BY 1, 2, 3, 4
    ), bucket AS MATERIALIZED (
        SELECT project_id, mode, step, starts_at, latency_bucket_v1(total_ms::float8) AS bucket,
            count(*) AS n
        FROM stepped WHERE is_timed GROUP BY 1, 2, 3, 4, 5
    ), spread AS MATERIALIZED (
        SELECT t.project_id, t.mode, t.step, t.starts_at,
            array_agg(coalesce(b.n, 0)::integer ORDER BY g.bucket) AS latencies
        FROM tally t CROSS JOIN generate_series(1, 120) AS g (bucket)
        LEFT JOIN bucket b USING (project_id, mode, step, starts_at, bucket)
        GROUP BY 1, 2, 3, 4
    )
    INSERT INTO rollups AS r
    SELECT t.project_id, t.mode, t.step, t.starts_at, t.completed, t.failed, t.cancelled,
        t.repeated, t.attempts, t.prompt_tokens, t.completion_tokens, t.waiting_ms, t.provider_ms,
        s.latencies
    FROM tally t JOIN spread s USING (project_id, mode, step, starts_at)
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (project_id, mode, step, starts_at) DO UPDATE
    SET completed = r.completed + excluded.completed, failed = r.failed + excluded.failed,
        cancelled = r.cancelled + excluded.cancelled, repeated = r.repeated + excluded.repeated,
        attempts = r.attempts + excluded.attempts,
        prompt_tokens = r.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = r.completion_tokens + excluded.completion_tokens,
        waiting_ms = r.waiting_ms + excluded.waiting_ms,
        provider_ms = r.provider_ms + excluded.provider_ms,
        latencies = add_counts_v1(r.latencies, excluded.latencies);

    WITH named AS MATERIALIZED (
        SELECT e.project_id, e.mode, s.step, date_trunc(s.step, e.finished_at, 'UTC') AS starts_at,
            coalesce(e.model, '') AS model, count(*) AS requests,
            sum(e.prompt_tokens) AS prompt_tokens, sum(e.completion_tokens) AS completion_tokens
        FROM unnest(p_ended) e CROSS JOIN (VALUES ('hour'), ('day')) AS s (step)
        GROUP BY 1, 2, 3, 4, 5
    ), ranked AS MATERIALIZED (
        SELECT n.*, k.is_known, row_number() OVER (
            PARTITION BY n.project_id, n.mode, n.step, n.starts_at, k.is_known
            ORDER BY n.requests DESC, n.model
        ) AS rank
        FROM named n CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM model_rollups m
                WHERE m.project_id = n.project_id AND m.mode = n.mode AND m.step = n.step
                    AND m.starts_at = n.starts_at AND m.model = n.model
            ) AS is_known
        ) k
    ), crowd AS MATERIALIZED (
        SELECT s.project_id, s.mode, s.step, s.starts_at, c.n
        FROM (SELECT DISTINCT project_id, mode, step, starts_at FROM ranked WHERE NOT is_known) s
        CROSS JOIN LATERAL (
            SELECT count(*) AS n FROM model_rollups m
            WHERE m.project_id = s.project_id AND m.mode = s.mode AND m.step = s.step
                AND m.starts_at = s.starts_at
        ) c
    ), placed AS (
        SELECT r.project_id, r.mode, r.step, r.starts_at,
            CASE WHEN r.is_known OR c.n + r.rank <= 50 THEN r.model ELSE '' END AS model,
            r.requests, r.prompt_tokens, r.completion_tokens
        FROM ranked r LEFT JOIN crowd c USING (project_id, mode, step, starts_at)
    )
    INSERT INTO model_rollups AS r
    SELECT project_id, mode, step, starts_at, model,
        sum(requests), sum(prompt_tokens), sum(completion_tokens)
    FROM placed GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (project_id, mode, step, starts_at, model) DO UPDATE
    SET requests = r.requests + excluded.requests,
        prompt_tokens = r.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = r.completion_tokens + excluded.completion_tokens;
    RETURN cardinality(p_ended);
END
$$;

-- Rows of the outbox that are not counted yet, oldest first: those in the gaps of what is.
CREATE FUNCTION uncounted_v1(p_limit integer) RETURNS TABLE (id bigint, created_at timestamptz)
LANGUAGE sql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
    SELECT o.id, o.created_at
    FROM rollup_progress p
    CROSS JOIN LATERAL unnest(int8multirange(int8range(p.floor, NULL)) - p.taken) AS g (gap)
    CROSS JOIN LATERAL (
        SELECT o.id, o.created_at FROM outbox o
        WHERE o.id >= lower(g.gap) AND o.id < coalesce(upper(g.gap), 9223372036854775807)
        ORDER BY o.id LIMIT p_limit
    ) o
    ORDER BY o.id LIMIT p_limit
$$;

-- Counts at most `p_limit` rows of the outbox, oldest first; answers how many, or null where somebody
-- else counts. The facts were written there by the transactions that made them true, so that the
-- queue costs no request anything, and what is counted is in no doubt: the row below says it, in the
-- transaction that counts.
--
-- Numbers are given out before they commit, in any order, and some never do. So `taken` has gaps, and
-- a gap may only be forgotten when nobody can fill it: `seen` was the highest number when an earlier
-- call ended. Every transaction that had drawn a lower one by then had its own xid too (it had deleted
-- a live row), and all those are below ours. Once the oldest running transaction is not older than the
-- xid noted here, they have all ended, and what they left is to be seen.
CREATE FUNCTION roll_up_v1(p_limit integer) RETURNS integer
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    p rollup_progress;
    ids bigint[];
    oldest xid8;
    is_all boolean;
    is_settled boolean;
BEGIN
    -- Nothing to do is found out without writing anything.
    IF NOT EXISTS (SELECT FROM uncounted_v1(1))
        AND EXISTS (SELECT FROM rollup_progress r WHERE r.seen < r.floor)
    THEN
        RETURN 0;
    END IF;
    SELECT * INTO p FROM rollup_progress FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- One statement, one snapshot: what has ended before `oldest` is seen here.
    SELECT array_agg(u.id ORDER BY u.id), pg_snapshot_xmin(pg_current_snapshot())
    INTO ids, oldest FROM uncounted_v1(p_limit) u;
    IF ids IS NOT NULL THEN
        PERFORM count_ended_v1(e.ended) FROM (
            SELECT array_agg((
                r.id, r.project_id, r.mode, r.model, r.state, r.attempts,
                (r.tokens->>'prompt')::integer, (r.tokens->>'completion')::integer,
                r.created_at, r.finished_at
            )::ended_v1) AS ended
            FROM unnest(ids) AS i (id)
            CROSS JOIN LATERAL (SELECT * FROM outbox o WHERE o.id = i.id OFFSET 0) o
            CROSS JOIN LATERAL jsonb_to_recordset(
                convert_from(o.body, 'UTF8')::jsonb -> 'requests'
            ) AS r (id text, project_id text, mode text, model text, state text, attempts integer,
                tokens jsonb, created_at timestamptz, finished_at timestamptz)
            WHERE o.routing_key = 'requests.finished'
        ) e
        WHERE e.ended IS NOT NULL;
    END IF;

    is_all := ids IS NULL OR cardinality(ids) < p_limit OR ids[cardinality(ids)] > p.settling;
    is_settled := p.settling IS NOT NULL AND is_all AND p.settling_since <= oldest;
    p.taken := p.taken + coalesce(
        (SELECT range_agg(int8range(i.id, i.id, '[]')) FROM unnest(ids) AS i (id)), '{}'
    );
    IF is_settled THEN
        p.floor := p.settling + 1;
        p.taken := p.taken * int8multirange(int8range(p.floor, NULL));
        p.settling := NULL;
    END IF;
    -- A xid of the future comes with a restored copy of another server's data.
    IF p.settling IS NULL OR p.settling_since > pg_current_xact_id() THEN
        p.settling := CASE WHEN p.seen >= p.floor THEN p.seen END;
        p.settling_since := pg_current_xact_id();
    END IF;
    UPDATE rollup_progress SET floor = p.floor, taken = p.taken, settling = p.settling,
        settling_since = p.settling_since, seen = greatest(p.seen, ids[cardinality(ids)]);
    RETURN coalesce(cardinality(ids), 0);
END
$$;
