-- Forgets all that is known of a project that stands in `erasures`, at most `p_limit` requests a
-- call; answers how many went. Its open requests were ended and its bodies destroyed before. With
-- its owner's rights: no hand of the ledger may delete what happened, and this deletes nothing of
-- any other project.
CREATE FUNCTION forget_requests_v1(p_project text, p_mode text, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    known text[];
    days date[];
    gone integer;
BEGIN
    IF NOT EXISTS (SELECT FROM erasures e WHERE e.project_id = p_project) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(r.id), array_agg(DISTINCT r.body_expires_on) INTO known, days FROM (
        SELECT r.id, r.body_expires_on FROM requests r
        WHERE r.project_id = ANY(ARRAY[p_project]) AND r.mode = p_mode
            AND NOT EXISTS (SELECT FROM live l WHERE l.id = r.id OFFSET 0)
        ORDER BY r.project_id, r.id LIMIT p_limit FOR UPDATE OF r
    ) r;
    IF known IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM attempts a WHERE a.request_id = ANY(known);
    DELETE FROM results f WHERE f.request_id = ANY(known);
    DELETE FROM bodies b WHERE b.expires_on = ANY(days) AND b.request_id = ANY(known);
    DELETE FROM body_keys b WHERE b.expires_on = ANY(days) AND b.request_id = ANY(known);
    DELETE FROM requests r WHERE r.id = ANY(known);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- Ends an erasure: the counters go, and at its account's last project the account's, with the row
-- that asked for it. Not within an hour of the asking, because a gateway may have accepted something
-- since, and not while a fact of that hour waits to be counted in the roll-ups. False: not yet.
CREATE FUNCTION end_erasure_v1(p_project text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    erasure erasures;
    until timestamptz;
BEGIN
    SELECT * INTO erasure FROM erasures e WHERE e.project_id = p_project FOR UPDATE;
    IF NOT FOUND THEN
        RETURN true;  -- another dispatcher was quicker
    END IF;
    until := erasure.asked_at + interval '1 h';
    IF clock_timestamp() < until
        OR EXISTS (SELECT FROM uncounted_v1(1) u WHERE u.created_at < until)
        OR EXISTS (SELECT FROM requests r WHERE r.project_id = ANY(ARRAY[p_project]))
        OR EXISTS (SELECT FROM rollups r WHERE r.project_id = p_project)
        OR EXISTS (SELECT FROM model_rollups r WHERE r.project_id = p_project)
    THEN
        RETURN false;
    END IF;
    DELETE FROM erasures e WHERE e.project_id = p_project;
    IF NOT EXISTS (SELECT FROM erasures e WHERE e.account_id = erasure.account_id) THEN
        DELETE FROM account_counters c WHERE c.account_id = erasure.account_id AND c.pending = 0;
    END IF;
    DELETE FROM project_counters c WHERE c.project_id = p_project AND c.slots = 0;
    RETURN true;
END
$$;
