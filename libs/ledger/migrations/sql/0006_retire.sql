-- Removes the records of requests whose time is over, from one page of projects: at most `p_limit`.
-- Runs with its owner's rights, because no hand of the ledger may delete what happened: this deletes
-- what is final, older than its project's window, and whose bodies and idempotency key went before
-- yesterday (a key is looked up with the day on which its accept began).
--
-- Ids sort by time, so that the oldest of a project and state are one range of results_by_project;
-- an array of one keeps any plan from walking the ids of all projects (libs/ledger/list_requests.py).
-- `p_bounds`: the lowest id that stays. Who is being erased just now is left for the next round.
CREATE FUNCTION retire_requests_v1(
    p_projects text[], p_modes text[], p_bounds text[], p_limit integer
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    old text[];
BEGIN
    SELECT array_agg(f.request_id ORDER BY f.request_id) INTO old FROM (
        SELECT f.request_id
        FROM unnest(p_projects, p_modes, p_bounds) AS u (project, mode, bound)
        CROSS JOIN LATERAL (
            SELECT c.metadata_seconds FROM project_counters c
            WHERE c.project_id = u.project AND c.mode = u.mode
            OFFSET 0
        ) c
        CROSS JOIN unnest(ARRAY['completed', 'failed', 'cancelled']) AS s (state)
        CROSS JOIN LATERAL (
            SELECT f.request_id FROM results f
            WHERE f.project_id = ANY(ARRAY[u.project]) AND f.mode = u.mode AND f.state = s.state
                AND f.request_id < u.bound AND f.body_expires_on < today
            ORDER BY f.project_id, f.mode, f.state, f.request_id LIMIT p_limit
        ) f
        CROSS JOIN LATERAL (
            SELECT r.created_at FROM requests r WHERE r.id = f.request_id OFFSET 0
        ) r
        WHERE r.created_at < clock_timestamp() - make_interval(secs => c.metadata_seconds)
        LIMIT p_limit
    ) f;
    IF old IS NULL THEN
        RETURN 0;
    END IF;
    SELECT array_agg(r.id) INTO old FROM (
        SELECT r.id FROM requests r WHERE r.id = ANY(old) ORDER BY r.id FOR UPDATE SKIP LOCKED
    ) r;
    DELETE FROM attempts a WHERE a.request_id = ANY(old);
    DELETE FROM results f WHERE f.request_id = ANY(old);
    DELETE FROM requests r WHERE r.id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
