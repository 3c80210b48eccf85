-- Look, as look_v1 (0004_look.sql), but a result is brought only up to a size: a few of many
-- megabytes would keep everybody who asks beside them waiting past the time-out, again and again.
CREATE FUNCTION look_v2(
    p_ids text[], p_projects text[], p_modes text[], p_result_bytes integer
) RETURNS TABLE (
    ord bigint, id text, created_at timestamptz, body_expires_on date, erased_at timestamptz,
    state text, attempts integer, updated_at timestamptz, error_code text,
    result bytea, body_key bytea, is_left_out boolean
)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_memoize = off
AS $$
#variable_conflict use_column
DECLARE
    day date;
BEGIN
    FOR day IN
        SELECT DISTINCT r.body_expires_on
        FROM unnest(p_ids, p_projects, p_modes) AS q (id, project, mode)
        CROSS JOIN LATERAL (
            SELECT r.body_expires_on FROM requests r
            WHERE r.id = q.id AND r.project_id = q.project AND r.mode = q.mode
            OFFSET 0
        ) r
    LOOP
        RETURN QUERY
        SELECT q.ord, r.id, r.created_at, r.body_expires_on, r.erased_at,
            coalesce(f.state, l.state), coalesce(f.attempts, l.attempts),
            coalesce(f.finished_at, l.updated_at),
            CASE WHEN f.request_id IS NULL THEN l.last_error_code ELSE f.last_error_code END,
            CASE WHEN NOT b.is_large THEN b.content END, k.secret, coalesce(b.is_large, false)
        FROM unnest(p_ids, p_projects, p_modes) WITH ORDINALITY AS q (id, project, mode, ord)
        CROSS JOIN LATERAL (
            SELECT * FROM requests r
            WHERE r.id = q.id AND r.project_id = q.project AND r.mode = q.mode
                AND r.body_expires_on = day
            OFFSET 0
        ) r
        LEFT JOIN LATERAL (SELECT * FROM live l WHERE l.id = r.id OFFSET 0) l ON true
        LEFT JOIN LATERAL (
            -- In order, so that only the primary key serves: other indexes end in the id, and all
            -- of such an index is read to find it.
            SELECT * FROM results f
            WHERE f.request_id BETWEEN r.id AND r.id ORDER BY f.request_id LIMIT 1
        ) f ON true
        LEFT JOIN LATERAL (
            SELECT k.request_id, k.secret FROM body_keys k
            WHERE p_result_bytes > 0 AND f.state = 'completed' AND r.erased_at IS NULL
                AND k.expires_on = day AND k.request_id = r.id
            OFFSET 0
        ) k ON true
        LEFT JOIN LATERAL (
            -- The length of a value that is stored apart is known without reading it.
            SELECT b.content, octet_length(b.content) > p_result_bytes AS is_large FROM bodies b
            WHERE b.expires_on = day AND b.request_id = k.request_id AND b.kind = 'result'
            OFFSET 0
        ) b ON true;
    END LOOP;
END
$$;
