-- One request alone, as it goes at low rates: accept, claim and complete of a batch of one (decision
-- 0032). What many share costs a batch of one as much as the work itself: each node of a plan is
-- set up and torn down, each array unfolded. These are plain statements by key, one row each.
--
-- They know the common case and no other. Where anything is unlike it they change nothing, and the
-- statement for many decides: it alone knows every rule of refusals, cool-downs and retries.

-- Accept, as the fast path of accept_v4. Raises RQ001 where a nonce or key is known, a limit has no
-- room, or a counter is missing: then nothing is stored.
CREATE FUNCTION accept_one_v1(
    p_id text, p_account text, p_project text, p_key text, p_mode text, p_endpoint text,
    p_model text, p_connection text, p_body bytea, p_body_key bytea, p_deadline integer,
    p_max_attempts integer, p_call_timeout integer, p_fails_on_unknown boolean,
    p_retention integer, p_running_limit integer, p_nonce text, p_idempotency_key text,
    p_fingerprint bytea, p_retried_from text, p_pending_limit integer, p_monthly_limit bigint,
    p_metadata_seconds integer, p_anchor integer, OUT slot_rank integer, OUT accepted_at timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    t timestamptz := clock_timestamp();
    ends_at timestamptz := t + make_interval(secs => p_deadline);
    day date := ((t + make_interval(secs => greatest(p_retention, p_deadline + 86400)))
        AT TIME ZONE 'UTC')::date + 1;
    this_period date := period_start_v1(p_anchor, t);
    project record;
BEGIN
    IF p_retried_from IS NOT NULL THEN
        RAISE EXCEPTION 'a retry takes a key over' USING ERRCODE = 'RQ001';
    END IF;
    IF p_nonce IS NOT NULL THEN
        -- Twice the window of a timestamp and more (docs/api.md, "Signing").
        INSERT INTO nonces (key_id, nonce, expires_at) VALUES (p_key, p_nonce, t + interval '15 min')
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a nonce was used' USING ERRCODE = 'RQ001';
        END IF;
    END IF;
    IF p_idempotency_key IS NOT NULL THEN
        INSERT INTO idempotency_keys (project_id, mode, key, request_id, fingerprint, expires_on)
        VALUES (p_project, p_mode, p_idempotency_key, p_id, p_fingerprint, day)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'an idempotency key is known' USING ERRCODE = 'RQ001';
        END IF;
    END IF;

    INSERT INTO requests (
        id, account_id, project_id, key_id, mode, endpoint, model, created_at, body_expires_on,
        idempotency_key
    ) VALUES (
        p_id, p_account, p_project, p_key, p_mode, p_endpoint, p_model, t, day, p_idempotency_key
    );
    INSERT INTO bodies (request_id, kind, number, expires_on, content)
    VALUES (p_id, 'request', 0, day, p_body);
    INSERT INTO body_keys (request_id, expires_on, secret) VALUES (p_id, day, p_body_key);

    UPDATE account_counters c
    SET pending = c.pending + 1, period = greatest(c.period, this_period),
        accepted = CASE WHEN c.period >= this_period THEN c.accepted ELSE 0 END + 1
    WHERE c.account_id = p_account AND c.mode = p_mode AND c.pending < p_pending_limit
        AND (p_mode = 'test' OR p_monthly_limit
            > CASE WHEN c.period >= this_period THEN c.accepted ELSE 0 END);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a limit has no room' USING ERRCODE = 'RQ001';
    END IF;

    SELECT c.slots, c.running_limit <> p_running_limit OR c.metadata_seconds <> p_metadata_seconds
            AS is_changed,
        NOT c.is_paused AND c.slots < p_running_limit AND NOT EXISTS (
            SELECT FROM live l
            WHERE l.slot_at IS NULL AND l.project_id = p_project AND l.mode = p_mode
                AND l.state IN ('queued', 'retrying') AND l.not_before <= t
            OFFSET 0
        ) AS is_granted
    INTO project
    FROM project_counters c WHERE c.project_id = p_project AND c.mode = p_mode
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a project has no counter' USING ERRCODE = 'RQ001';
    END IF;
    IF project.is_granted OR project.is_changed THEN
        UPDATE project_counters c
        SET slots = c.slots + project.is_granted::integer, running_limit = p_running_limit,
            metadata_seconds = p_metadata_seconds
        WHERE c.project_id = p_project AND c.mode = p_mode;
    END IF;

    INSERT INTO live (
        id, account_id, project_id, mode, state, endpoint, model, connection_id, created_at,
        updated_at, slot_at, not_before, due_at, deadline, max_attempts, call_timeout,
        fails_on_unknown, body_expires_on
    ) VALUES (
        p_id, p_account, p_project, p_mode, 'queued', p_endpoint, p_model, p_connection, t, t,
        CASE WHEN project.is_granted THEN t END, t,
        CASE WHEN project.is_granted THEN least(t + interval '5 s', ends_at) ELSE ends_at END,
        ends_at, p_max_attempts, p_call_timeout, p_fails_on_unknown, day
    );
    slot_rank := CASE WHEN project.is_granted THEN project.slots + 1 END;
    accepted_at := t;
END
$$;

-- Claim, as claim_v1. A connection that cools down is claim_v1's.
CREATE FUNCTION claim_one_v1(p_id text, p_owner text, p_lease interval) RETURNS TABLE (
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
    day date;
    is_cooling boolean;
    content bytea;
    secret bytea;
BEGIN
    SELECT l.body_expires_on, EXISTS (
        SELECT FROM cooldowns c
        WHERE c.connection_id = l.connection_id AND c.model = l.model AND c.until > t
    ) INTO day, is_cooling
    FROM live l
    WHERE l.id = p_id AND l.slot_at IS NOT NULL AND l.state IN ('queued', 'retrying')
        AND l.not_before <= t AND l.deadline > t
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF is_cooling THEN
        RETURN QUERY SELECT * FROM claim_v1(ARRAY[p_id], p_owner, p_lease);
        RETURN;
    END IF;
    SELECT k.secret INTO secret FROM body_keys k WHERE k.expires_on = day AND k.request_id = p_id;
    IF FOUND THEN
        SELECT b.content INTO content FROM bodies b
        WHERE b.expires_on = day AND b.request_id = p_id AND b.kind = 'request' AND b.number = 0;
    END IF;
    RETURN QUERY
    UPDATE live l
    SET state = 'processing', fence = l.fence + 1, attempts = l.attempts + 1,
        lease_owner = p_owner, lease_until = t + p_lease, due_at = t + p_lease,
        started_at = t, sent_at = t, updated_at = t
    WHERE l.id = p_id
    RETURNING l.id, l.account_id, l.project_id, l.mode, l.endpoint, l.model, l.connection_id,
        l.fence, l.attempts, l.counted, l.timeouts, l.max_attempts, l.call_timeout,
        l.fails_on_unknown, l.body_expires_on, l.created_at, l.started_at, l.not_before,
        content, secret;
END
$$;

-- Complete: an answer that the provider gave, as the finish for many (finish.py, settle.py) writes it.
-- False where the row is gone, has another fence, or is locked: then nothing is written.
CREATE FUNCTION complete_one_v1(
    p_id text, p_fence integer, p_number integer, p_status_code integer,
    p_provider_request_id text, p_provider_headers text, p_prompt integer, p_completion integer,
    p_total integer, p_result bytea
) RETURNS boolean
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    t timestamptz := clock_timestamp();
    l live;
BEGIN
    SELECT * INTO l FROM live WHERE live.id = p_id AND live.fence = p_fence
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM live WHERE live.id = p_id;
    INSERT INTO attempts (
        request_id, number, fence, executor, started_at, sent_at, finished_at, status_code,
        outcome, provider_request_id, provider_headers, prompt_tokens, completion_tokens,
        total_tokens
    ) VALUES (
        p_id, p_number, p_fence, l.lease_owner, coalesce(l.started_at, t),
        coalesce(l.sent_at, t), t, p_status_code, 'completed',
        p_provider_request_id, p_provider_headers::jsonb, p_prompt, p_completion, p_total
    )
    -- A late answer: the attempt was closed as an orphan, and now we know better.
    ON CONFLICT (request_id, number) DO UPDATE
    SET finished_at = excluded.finished_at, status_code = excluded.status_code,
        error_code = excluded.error_code, outcome = excluded.outcome, retry_at = excluded.retry_at,
        retry_rule = excluded.retry_rule, provider_request_id = excluded.provider_request_id,
        provider_headers = excluded.provider_headers, prompt_tokens = excluded.prompt_tokens,
        completion_tokens = excluded.completion_tokens, total_tokens = excluded.total_tokens
    WHERE attempts.fence = excluded.fence;
    INSERT INTO bodies (request_id, kind, number, expires_on, content)
    VALUES (p_id, 'result', p_number, l.body_expires_on, p_result)
    ON CONFLICT DO NOTHING;
    INSERT INTO results (
        request_id, account_id, project_id, mode, model, state, attempts, prompt_tokens,
        completion_tokens, total_tokens, finished_at, body_expires_on
    ) VALUES (
        p_id, l.account_id, l.project_id, l.mode, l.model, 'completed', l.attempts,
        coalesce(p_prompt, 0), coalesce(p_completion, 0), coalesce(p_total, 0), t, l.body_expires_on
    );
    UPDATE account_counters c SET pending = c.pending - 1
    WHERE c.account_id = l.account_id AND c.mode = l.mode;
    IF l.slot_at IS NOT NULL THEN
        UPDATE project_counters c SET slots = c.slots - 1
        WHERE c.project_id = l.project_id AND c.mode = l.mode;
    END IF;
    INSERT INTO outbox (routing_key, body) VALUES (
        'requests.finished', convert_to(json_build_object(
            'type', 'requests.finished',
            'requests', json_build_array(json_build_object(
                'id', p_id, 'account_id', l.account_id, 'project_id', l.project_id,
                'mode', l.mode, 'endpoint', l.endpoint, 'model', l.model, 'state', 'completed',
                'attempts', l.attempts, 'created_at', l.created_at, 'finished_at', t,
                'tokens', json_build_object('prompt', coalesce(p_prompt, 0),
                    'completion', coalesce(p_completion, 0), 'total', coalesce(p_total, 0))
            ))
        )::text, 'UTF8')
    );
    RETURN true;
END
$$;
