-- Claim: take attempts, many hints in one round trip, and bring what each will send.
--
-- Two hints make one attempt: only a row that holds a slot, is due and is not leased is taken, and
-- its fence goes up. A request whose provider connection is cooling down is sent back without an
-- attempt.
--
-- The bodies are read day by day: with the day in a variable one partition is opened, where a join
-- with the claim would open all of them (decision 0013). OFFSET 0 keeps each look-up by key what it
-- is: as a join, a plan that was made while the tables were empty may read all of a table for ever.
CREATE FUNCTION claim_v1(p_ids text[], p_owner text, p_lease interval) RETURNS TABLE (
    id text, account_id text, project_id text, mode text, endpoint text, model text,
    connection_id text, fence integer, attempts integer, counted integer, timeouts integer,
    max_attempts integer, call_timeout integer, fails_on_unknown boolean, body_expires_on date,
    created_at timestamptz, started_at timestamptz, not_before timestamptz,
    body bytea, body_key bytea
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    t timestamptz := clock_timestamp();
    free text[];
    cooling text[];
    untils timestamptz[];
    claimed live[];
    day date;
BEGIN
    SELECT array_agg(p.id) FILTER (WHERE NOT p.is_cooling),
        array_agg(p.id) FILTER (WHERE p.is_cooling), array_agg(p.until) FILTER (WHERE p.is_cooling)
    INTO free, cooling, untils
    FROM (
        SELECT l.id, c.until, c.until IS NOT NULL AS is_cooling
        FROM live l
        LEFT JOIN LATERAL (
            SELECT c.until FROM cooldowns c
            WHERE c.connection_id = l.connection_id AND c.model = l.model AND c.until > t
            OFFSET 0
        ) c ON true
        WHERE l.id = ANY(p_ids) AND l.slot_at IS NOT NULL AND l.state IN ('queued', 'retrying')
            AND l.not_before <= t AND l.deadline > t
        ORDER BY l.id
        FOR UPDATE OF l SKIP LOCKED
    ) p;

    IF cooling IS NOT NULL THEN
        WITH cooled AS (
            UPDATE live l
            SET not_before = u.until + random() * interval '1 s', slot_at = NULL,
                due_at = l.deadline, updated_at = t
            FROM unnest(cooling, untils) AS u (id, until)
            WHERE l.id = u.id AND l.id = ANY(cooling)
            RETURNING l.project_id, l.mode
        ), freed AS (
            SELECT project_id, mode, count(*) AS n FROM cooled GROUP BY 1, 2 ORDER BY 1, 2
        ), counter AS MATERIALIZED (
            SELECT f.project_id, f.mode, f.n
            FROM freed f CROSS JOIN LATERAL (
                SELECT FROM project_counters c WHERE c.project_id = f.project_id AND c.mode = f.mode
                OFFSET 0 FOR UPDATE
            ) c
        )
        UPDATE project_counters c SET slots = c.slots - k.n
        FROM counter k
        WHERE c.project_id = k.project_id AND c.mode = k.mode
            AND c.project_id = ANY(ARRAY(SELECT project_id FROM counter));
    END IF;

    WITH taken AS (
        UPDATE live l
        SET state = 'processing', fence = l.fence + 1, attempts = l.attempts + 1,
            lease_owner = p_owner, lease_until = t + p_lease, due_at = t + p_lease,
            started_at = t, sent_at = t, updated_at = t
        WHERE l.id = ANY(free)
        RETURNING l
    )
    SELECT array_agg(l) INTO claimed FROM taken;

    FOR day IN SELECT DISTINCT body_expires_on FROM unnest(claimed) LOOP
        RETURN QUERY
        SELECT l.id, l.account_id, l.project_id, l.mode, l.endpoint, l.model, l.connection_id,
            l.fence, l.attempts, l.counted, l.timeouts, l.max_attempts, l.call_timeout,
            l.fails_on_unknown, l.body_expires_on, l.created_at, l.started_at, l.not_before,
            b.content, k.secret
        FROM unnest(claimed) l
        LEFT JOIN LATERAL (
            SELECT k.request_id, k.secret FROM body_keys k
            WHERE k.expires_on = day AND k.request_id = l.id
            OFFSET 0
        ) k ON true
        LEFT JOIN LATERAL (
            SELECT b.content FROM bodies b
            WHERE b.expires_on = day AND b.request_id = k.request_id
                AND b.kind = 'request' AND b.number = 0
            OFFSET 0
        ) b ON true
        WHERE l.body_expires_on = day;
    END LOOP;
END
$$;
