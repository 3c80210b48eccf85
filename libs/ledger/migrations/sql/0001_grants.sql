-- The two hands of the ledger get only what they use. The roles are made by whoever runs the
-- database (deploy/); a role that is not there gets nothing.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_gateway') THEN
        GRANT USAGE ON SCHEMA public TO reqrun_gateway;
        GRANT SELECT ON requests, live, results, attempts, bodies, account_counters,
            project_counters, idempotency_keys TO reqrun_gateway;
        GRANT INSERT ON requests, live, bodies, account_counters, project_counters,
            idempotency_keys, nonces TO reqrun_gateway;
        GRANT UPDATE ON account_counters, project_counters TO reqrun_gateway;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_executor') THEN
        GRANT USAGE ON SCHEMA public TO reqrun_executor;
        GRANT SELECT ON requests, live, results, attempts, bodies, bodies_default, cooldowns,
            account_counters, project_counters, outbox TO reqrun_executor;
        GRANT INSERT ON results, attempts, bodies, cooldowns, outbox TO reqrun_executor;
        GRANT UPDATE ON live, attempts, cooldowns, account_counters, project_counters, outbox
            TO reqrun_executor;
        GRANT DELETE ON live, outbox TO reqrun_executor;
    END IF;
END
$$;
