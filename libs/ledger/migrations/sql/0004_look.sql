-- Look: where requests stand, many questions in one round trip, with the results of those that have
-- one where they are asked for.
--
-- STABLE means one snapshot for all of it, over requests, live, results and bodies: a request that
-- finishes meanwhile is seen before or after, never in between. Results are read day by day, as in
-- claim_v1.
CREATE FUNCTION look_v1(
    p_ids text[], p_projects text[], p_modes text[], p_has_results boolean
) RETURNS TABLE (
    ord bigint, id text, created_at timestamptz, body_expires_on date, erased_at timestamptz,
    state text, attempts integer, updated_at timestamptz, error_code text,
    result bytea, body_key bytea
)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    day date;
BEGIN
    FOR day IN SELECT DISTINCT r.body_expires_on FROM requests r WHERE r.id = ANY(p_ids) LOOP
        RETURN QUERY
        SELECT s.ord, s.id, s.created_at, s.body_expires_on, s.erased_at, s.state, s.attempts,
            s.updated_at, s.error_code, b.content, k.secret
        FROM (
            SELECT q.ord, r.id, r.created_at, r.body_expires_on, r.erased_at,
                coalesce(f.state, l.state) AS state, coalesce(f.attempts, l.attempts) AS attempts,
                coalesce(f.finished_at, l.updated_at) AS updated_at,
                CASE WHEN f.request_id IS NULL THEN l.last_error_code ELSE f.last_error_code
                    END AS error_code,
                CASE WHEN p_has_results AND f.state = 'completed' AND r.erased_at IS NULL
                    THEN r.id END AS result_of
            FROM unnest(p_ids, p_projects, p_modes) WITH ORDINALITY AS q (id, project, mode, ord)
            JOIN requests r ON r.id = q.id AND r.project_id = q.project AND r.mode = q.mode
                AND r.body_expires_on = day
            LEFT JOIN live l ON l.id = r.id
            LEFT JOIN results f ON f.request_id = r.id
            WHERE r.id = ANY(p_ids)
        ) s
        LEFT JOIN body_keys k ON k.expires_on = day AND k.request_id = s.result_of
        LEFT JOIN bodies b ON b.expires_on = day AND b.request_id = k.request_id
            AND b.kind = 'result';
    END LOOP;
END
$$;
