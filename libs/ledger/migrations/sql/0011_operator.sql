-- The operator's program (deploy/operator) reads how requests stand and what is late, and changes
-- nothing: cancels and retries go the way of the dashboard's. No content, no half of a key to it. The
-- role is made by whoever runs the database; where it is not there nothing is granted.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_operator') THEN
        GRANT USAGE ON SCHEMA public TO reqrun_operator;
        GRANT SELECT ON requests, live, results, attempts, account_counters, project_counters,
            cooldowns, erasures, alembic_version TO reqrun_operator;
        GRANT SELECT (id, routing_key, created_at, sent_at) ON outbox TO reqrun_operator;
        -- To be counted.
        GRANT SELECT (expires_on) ON bodies_default, body_keys_default, idempotency_keys
            TO reqrun_operator;
        GRANT SELECT (expires_at) ON nonces TO reqrun_operator;
        GRANT SELECT (starts_at) ON rollups, model_rollups TO reqrun_operator;
    END IF;
END
$$;
