-- Accept, whose monthly limit counts from a day of the account's own: its anchor, which comes with
-- each submission. A counter's period never goes back, whatever anchors gateways know meanwhile.
-- Everything else is as in 0006_accept.sql, whose function stays for the release before.
CREATE FUNCTION accept_v4(
    p_ids text[], p_accounts text[], p_projects text[], p_keys text[], p_modes text[],
    p_endpoints text[], p_models text[], p_connections text[], p_bodies bytea[],
    p_body_keys bytea[], p_deadlines integer[], p_max_attempts integer[],
    p_call_timeouts integer[], p_fails_on_unknown boolean[], p_retentions integer[],
    p_running_limits integer[], p_nonces text[], p_idempotency_keys text[], p_fingerprints bytea[],
    p_retried_from text[], p_pending_limits integer[], p_monthly_limits bigint[],
    p_metadata_seconds integer[], p_anchors integer[], p_is_exact boolean
) RETURNS TABLE (
    request_id text, verdict text, slot_rank integer, accepted_at timestamptz, existing_id text
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    t timestamptz := clock_timestamp();
    today date := (t AT TIME ZONE 'UTC')::date;
    has_nonces boolean := EXISTS (SELECT FROM unnest(p_nonces) AS n WHERE n IS NOT NULL);
    has_keys boolean := EXISTS (SELECT FROM unnest(p_idempotency_keys) AS k WHERE k IS NOT NULL);
    has_retries boolean := EXISTS (SELECT FROM unnest(p_retried_from) AS r WHERE r IS NOT NULL);
    days date[];
    fresh text[];       -- ids whose nonce was new
    verdicts text[] := array_fill(NULL::text, ARRAY[cardinality(p_ids)]);
    existing text[] := array_fill(NULL::text, ARRAY[cardinality(p_ids)]);
    all_ids text[] := p_ids;
    wanted integer;
    done integer;
    entry record;
BEGIN
    -- One expiry per request, fixed now: key, request and result share it.
    SELECT array_agg(
        ((t + make_interval(secs => greatest(retention, deadline + 86400))) AT TIME ZONE 'UTC')::date + 1
        ORDER BY ord
    ) INTO days
    FROM unnest(p_retentions, p_deadlines) WITH ORDINALITY AS u (retention, deadline, ord);

    IF has_nonces THEN
        -- Twice the window of a timestamp and more (docs/api.md, "Signing").
        WITH spent AS (
            INSERT INTO nonces (key_id, nonce, expires_at)
            SELECT u.key, u.nonce, t + interval '15 min'
            FROM unnest(p_keys, p_nonces) AS u (key, nonce) WHERE u.nonce IS NOT NULL
            ORDER BY 1, 2
            ON CONFLICT DO NOTHING RETURNING key_id, nonce
        )
        SELECT array_agg(i.id) INTO fresh FROM (
            SELECT DISTINCT ON (u.key, u.nonce) u.id
            FROM unnest(p_ids, p_keys, p_nonces) WITH ORDINALITY AS u (id, key, nonce, ord)
            JOIN spent s ON s.key_id = u.key AND s.nonce = u.nonce
            ORDER BY u.key, u.nonce, u.ord
        ) i;
        SELECT count(*) INTO wanted FROM unnest(p_nonces) AS n WHERE n IS NOT NULL;
        IF coalesce(cardinality(fresh), 0) < wanted THEN
            IF NOT p_is_exact THEN
                RAISE EXCEPTION 'a nonce was used' USING ERRCODE = 'RQ001';
            END IF;
            SELECT array_agg(
                CASE WHEN u.nonce IS NULL OR u.id = ANY(fresh) THEN NULL ELSE 'nonce_reused' END
                ORDER BY u.ord
            ) INTO verdicts
            FROM unnest(p_ids, p_nonces) WITH ORDINALITY AS u (id, nonce, ord);
        END IF;
    END IF;

    IF p_is_exact AND has_keys THEN
        -- A key is free again only when it has expired and its request is final.
        FOR entry IN
            SELECT DISTINCT k.project_id, k.mode, k.key, k.request_id
            FROM unnest(p_projects, p_modes, p_idempotency_keys) AS u (project, mode, key)
            CROSS JOIN LATERAL (
                SELECT k.* FROM idempotency_keys k
                WHERE k.project_id = u.project AND k.mode = u.mode AND k.key = u.key
                    AND k.expires_on <= today
                    AND NOT EXISTS (SELECT FROM live l WHERE l.id = k.request_id OFFSET 0)
                OFFSET 0
            ) k
            ORDER BY 1, 2, 3
        LOOP
            DELETE FROM idempotency_keys k
            WHERE k.project_id = entry.project_id AND k.mode = entry.mode AND k.key = entry.key
                AND k.request_id = entry.request_id AND k.expires_on <= today;
        END LOOP;
    END IF;

    IF has_keys THEN
        -- A retry takes its key over from the request it repeats; nobody else adds one for it.
        INSERT INTO idempotency_keys (project_id, mode, key, request_id, fingerprint, expires_on)
        SELECT DISTINCT ON (u.project, u.mode, u.key) u.project, u.mode, u.key, u.id,
            u.fingerprint, u.day
        FROM unnest(
            p_ids, p_projects, p_modes, p_idempotency_keys, p_fingerprints, days, p_retried_from,
            verdicts
        ) WITH ORDINALITY AS u (id, project, mode, key, fingerprint, day, retried_from, verdict, ord)
        WHERE u.key IS NOT NULL AND u.retried_from IS NULL AND u.verdict IS NULL
        ORDER BY u.project, u.mode, u.key, u.ord
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS done = ROW_COUNT;
        IF NOT p_is_exact THEN
            SELECT count(*) INTO wanted
            FROM unnest(p_idempotency_keys, p_retried_from) AS u (key, retried_from)
            WHERE u.key IS NOT NULL AND u.retried_from IS NULL;
            IF done < wanted THEN
                RAISE EXCEPTION 'an idempotency key is known' USING ERRCODE = 'RQ001';
            END IF;
        END IF;
    END IF;

    -- A missing counter is made from what the key allows, never read as unlimited.
    INSERT INTO account_counters (account_id, mode, period)
    SELECT u.account, u.mode, period_start_v1(u.anchor, t)
    FROM (
        SELECT u.account, u.mode, max(u.anchor) AS anchor
        FROM unnest(p_accounts, p_modes, p_anchors) AS u (account, mode, anchor) GROUP BY 1, 2
    ) u
    WHERE NOT EXISTS (
        SELECT FROM account_counters c WHERE c.account_id = u.account AND c.mode = u.mode OFFSET 0
    )
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;

    INSERT INTO project_counters (project_id, mode, running_limit, metadata_seconds)
    SELECT u.project, u.mode, u.running_limit, u.metadata_seconds
    FROM (
        SELECT u.project, u.mode, max(u.running_limit) AS running_limit,
            max(u.metadata_seconds) AS metadata_seconds
        FROM unnest(p_projects, p_modes, p_running_limits, p_metadata_seconds)
            AS u (project, mode, running_limit, metadata_seconds)
        GROUP BY 1, 2
    ) u
    WHERE NOT EXISTS (
        SELECT FROM project_counters c WHERE c.project_id = u.project AND c.mode = u.mode OFFSET 0
    )
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;

    IF p_is_exact THEN
        -- What a key, or the request that is to be retried, leads to already. A new statement: it
        -- sees what others committed while the inserts above waited for them.
        SELECT array_agg(i.verdict ORDER BY i.ord), array_agg(i.existing ORDER BY i.ord)
        INTO verdicts, existing
        FROM (
            SELECT u.ord, CASE
                WHEN u.verdict IS NOT NULL THEN u.verdict
                WHEN r.id IS NOT NULL THEN 'known'
                WHEN u.retried_from IS NOT NULL
                    THEN CASE WHEN u.id <> first_value(u.id) OVER same_retry THEN 'known' END
                WHEN u.key IS NULL OR k.request_id = u.id THEN NULL
                WHEN k.request_id IS NULL THEN 'again'
                WHEN k.fingerprint = u.fingerprint THEN 'known'
                ELSE 'conflict'
            END AS verdict, CASE
                WHEN r.id IS NOT NULL THEN r.id
                WHEN u.retried_from IS NOT NULL THEN first_value(u.id) OVER same_retry
                ELSE k.request_id
            END AS existing
            FROM unnest(
                p_ids, p_projects, p_modes, p_idempotency_keys, p_fingerprints, p_retried_from,
                verdicts
            ) WITH ORDINALITY
                AS u (id, project, mode, key, fingerprint, retried_from, verdict, ord)
            LEFT JOIN LATERAL (
                SELECT k.request_id, k.fingerprint FROM idempotency_keys k
                WHERE k.project_id = u.project AND k.mode = u.mode AND k.key = u.key
                OFFSET 0
            ) k ON true
            LEFT JOIN LATERAL (
                SELECT r.id FROM requests r WHERE r.retried_from = u.retried_from OFFSET 0
            ) r ON true
            WINDOW same_retry AS (PARTITION BY u.retried_from, u.verdict ORDER BY u.ord)
        ) i;
        IF 'again' = ANY(verdicts) THEN
            RAISE EXCEPTION 'a key was freed meanwhile' USING ERRCODE = '40001';
        END IF;

        PERFORM FROM (
            SELECT DISTINCT u.account COLLATE "C" AS account, u.mode
            FROM unnest(p_accounts, p_modes) AS u (account, mode) ORDER BY 1, 2
        ) u
        CROSS JOIN LATERAL (
            SELECT FROM account_counters c WHERE c.account_id = u.account AND c.mode = u.mode
            OFFSET 0 FOR UPDATE
        ) c;

        -- Room is given in the order of arrival.
        SELECT array_agg(CASE
                WHEN i.verdict IS NOT NULL THEN i.verdict
                WHEN c.pending + i.rank > i.pending_limit THEN 'pending_limit'
                WHEN i.mode = 'live' AND i.rank + CASE WHEN c.period >= i.period
                    THEN c.accepted ELSE 0 END > i.monthly_limit
                    THEN 'monthly_limit' END
            ORDER BY i.ord) INTO verdicts
        FROM (
            SELECT u.*, period_start_v1(max(u.anchor) OVER whole, t) AS period,
                row_number() OVER (
                    PARTITION BY u.account, u.mode, u.verdict IS NULL ORDER BY u.ord) AS rank
            FROM unnest(p_accounts, p_modes, p_pending_limits, p_monthly_limits, p_anchors, verdicts)
                WITH ORDINALITY
                AS u (account, mode, pending_limit, monthly_limit, anchor, verdict, ord)
            WINDOW whole AS (PARTITION BY u.account, u.mode)
        ) i
        CROSS JOIN LATERAL (
            SELECT c.* FROM account_counters c WHERE c.account_id = i.account AND c.mode = i.mode
            OFFSET 0
        ) c;

        -- Who comes with the key of a refused item of this batch, whatever the body, is refused like
        -- it: the same limit, and nothing is stored that it could conflict with.
        SELECT array_agg(CASE WHEN u.verdict IN ('known', 'conflict') AND o.verdict IS NOT NULL
                THEN o.verdict ELSE u.verdict END ORDER BY u.ord) INTO verdicts
        FROM unnest(verdicts, existing) WITH ORDINALITY AS u (verdict, existing, ord)
        LEFT JOIN unnest(p_ids, verdicts) AS o (id, verdict) ON o.id = u.existing;

        FOR entry IN
            SELECT * FROM unnest(p_ids, p_projects, p_modes, p_idempotency_keys, verdicts)
                AS u (id, project, mode, key, verdict)
            WHERE u.verdict IN ('pending_limit', 'monthly_limit') AND u.key IS NOT NULL
        LOOP
            DELETE FROM idempotency_keys k
            WHERE k.project_id = entry.project AND k.mode = entry.mode AND k.key = entry.key
                AND k.request_id = entry.id;
        END LOOP;

        RETURN QUERY
        SELECT u.id, u.verdict, NULL::integer, t, u.existing
        FROM unnest(all_ids, verdicts, existing) AS u (id, verdict, existing)
        WHERE u.verdict IS NOT NULL;

        SELECT array_agg(u.id ORDER BY ord), array_agg(u.account ORDER BY ord),
            array_agg(u.project ORDER BY ord), array_agg(u.key ORDER BY ord),
            array_agg(u.mode ORDER BY ord), array_agg(u.endpoint ORDER BY ord),
            array_agg(u.model ORDER BY ord), array_agg(u.connection ORDER BY ord),
            array_agg(u.body ORDER BY ord), array_agg(u.body_key ORDER BY ord),
            array_agg(u.deadline ORDER BY ord), array_agg(u.attempts ORDER BY ord),
            array_agg(u.call_timeout ORDER BY ord), array_agg(u.fails ORDER BY ord),
            array_agg(u.running_limit ORDER BY ord), array_agg(u.idempotency_key ORDER BY ord),
            array_agg(u.retried_from ORDER BY ord), array_agg(u.day ORDER BY ord),
            array_agg(u.pending_limit ORDER BY ord), array_agg(u.monthly_limit ORDER BY ord),
            array_agg(u.metadata_seconds ORDER BY ord), array_agg(u.anchor ORDER BY ord)
        INTO p_ids, p_accounts, p_projects, p_keys, p_modes, p_endpoints, p_models, p_connections,
            p_bodies, p_body_keys, p_deadlines, p_max_attempts, p_call_timeouts, p_fails_on_unknown,
            p_running_limits, p_idempotency_keys, p_retried_from, days, p_pending_limits,
            p_monthly_limits, p_metadata_seconds, p_anchors
        FROM unnest(
            p_ids, p_accounts, p_projects, p_keys, p_modes, p_endpoints, p_models, p_connections,
            p_bodies, p_body_keys, p_deadlines, p_max_attempts, p_call_timeouts, p_fails_on_unknown,
            p_running_limits, p_idempotency_keys, p_retried_from, days, p_pending_limits,
            p_monthly_limits, p_metadata_seconds, p_anchors, verdicts
        ) WITH ORDINALITY AS u (
            id, account, project, key, mode, endpoint, model, connection, body, body_key, deadline,
            attempts, call_timeout, fails, running_limit, idempotency_key, retried_from, day,
            pending_limit, monthly_limit, metadata_seconds, anchor, verdict, ord
        )
        WHERE u.verdict IS NULL;
        IF p_ids IS NULL THEN
            RETURN;
        END IF;
    END IF;

    IF has_retries THEN
        FOR entry IN
            SELECT * FROM unnest(
                p_ids, p_projects, p_modes, p_idempotency_keys, p_retried_from, days
            ) AS u (id, project, mode, key, retried_from, day)
            WHERE u.key IS NOT NULL AND u.retried_from IS NOT NULL
            ORDER BY u.project COLLATE "C", u.mode, u.key COLLATE "C"
        LOOP
            UPDATE idempotency_keys k SET request_id = entry.id, expires_on = entry.day
            WHERE k.project_id = entry.project AND k.mode = entry.mode AND k.key = entry.key
                AND k.request_id = entry.retried_from;
        END LOOP;
    END IF;

    INSERT INTO requests (
        id, account_id, project_id, key_id, mode, endpoint, model, created_at, body_expires_on,
        retried_from, idempotency_key
    )
    SELECT u.id, u.account, u.project, u.key, u.mode, u.endpoint, u.model, t, u.day,
        u.retried_from, u.idempotency_key
    FROM unnest(
        p_ids, p_accounts, p_projects, p_keys, p_modes, p_endpoints, p_models, days,
        p_retried_from, p_idempotency_keys
    ) AS u (
        id, account, project, key, mode, endpoint, model, day, retried_from, idempotency_key
    );

    INSERT INTO bodies (request_id, kind, number, expires_on, content)
    SELECT u.id, 'request', 0, u.day, u.body FROM unnest(p_ids, days, p_bodies) AS u (id, day, body);

    INSERT INTO body_keys (request_id, expires_on, secret)
    SELECT u.id, u.day, u.secret FROM unnest(p_ids, days, p_body_keys) AS u (id, day, secret);

    -- One by one in the order of the locks: for most batches that is one, and a plain look-up.
    FOR entry IN
        SELECT u.account, u.mode, count(*)::integer AS n, min(u.pending_limit) AS pending_limit,
            min(u.monthly_limit) AS monthly_limit,
            period_start_v1(max(u.anchor), t) AS period
        FROM unnest(p_accounts, p_modes, p_pending_limits, p_monthly_limits, p_anchors)
            AS u (account, mode, pending_limit, monthly_limit, anchor)
        GROUP BY 1, 2 ORDER BY u.account COLLATE "C", u.mode
    LOOP
        UPDATE account_counters c
        SET pending = c.pending + entry.n, period = greatest(c.period, entry.period),
            accepted = CASE WHEN c.period >= entry.period THEN c.accepted ELSE 0 END + entry.n
        WHERE c.account_id = entry.account AND c.mode = entry.mode AND (p_is_exact
            OR c.pending + entry.n <= entry.pending_limit AND (entry.mode = 'test'
                OR entry.monthly_limit >= entry.n
                    + CASE WHEN c.period >= entry.period THEN c.accepted ELSE 0 END));
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a limit has no room' USING ERRCODE = 'RQ001';
        END IF;
    END LOOP;

    RETURN QUERY
    WITH item AS MATERIALIZED (
        SELECT u.*, row_number() OVER (PARTITION BY u.project, u.mode ORDER BY u.ord)::integer AS rank
        FROM unnest(
            p_ids, p_accounts, p_projects, p_modes, p_endpoints, p_models, p_connections,
            p_deadlines, p_max_attempts, p_call_timeouts, p_fails_on_unknown, days,
            p_running_limits, p_metadata_seconds
        ) WITH ORDINALITY AS u (
            id, account, project, mode, endpoint, model, connection, deadline, max_attempts,
            call_timeout, fails_on_unknown, day, running_limit, metadata_seconds, ord
        )
    ), wanted AS (
        SELECT i.project, i.mode, count(*)::integer AS n, max(i.running_limit) AS running_limit,
            max(i.metadata_seconds) AS metadata_seconds
        FROM item i GROUP BY 1, 2 ORDER BY i.project COLLATE "C", i.mode
    ), counter AS MATERIALIZED (
        SELECT c.project_id, c.mode, c.slots, w.running_limit, w.metadata_seconds,
            CASE WHEN c.is_paused OR EXISTS (
                SELECT FROM live l
                WHERE l.slot_at IS NULL AND l.project_id = c.project_id AND l.mode = c.mode
                    AND l.state IN ('queued', 'retrying') AND l.not_before <= t
                OFFSET 0
            ) THEN 0 ELSE greatest(least(w.n, w.running_limit - c.slots), 0) END AS granted
        FROM wanted w CROSS JOIN LATERAL (
            SELECT c.* FROM project_counters c
            WHERE c.project_id = w.project AND c.mode = w.mode
            OFFSET 0 FOR UPDATE
        ) c
    ), settled AS (
        UPDATE project_counters c
        SET slots = c.slots + g.granted, running_limit = g.running_limit,
            metadata_seconds = g.metadata_seconds
        FROM counter g
        WHERE c.project_id = g.project_id AND c.mode = g.mode AND c.project_id = ANY(p_projects)
            AND (g.granted > 0 OR c.running_limit <> g.running_limit
                OR c.metadata_seconds <> g.metadata_seconds)
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
    SELECT i.id, NULL::text, CASE WHEN i.rank <= g.granted THEN g.slots + i.rank END, t, NULL::text
    FROM item i JOIN counter g ON g.project_id = i.project AND g.mode = i.mode
    ORDER BY i.ord;
    GET DIAGNOSTICS done = ROW_COUNT;
    IF done <> cardinality(p_ids) THEN
        RAISE EXCEPTION 'a counter row vanished' USING ERRCODE = '40001';
    END IF;
END
$$;
