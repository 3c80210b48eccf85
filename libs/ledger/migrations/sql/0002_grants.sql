DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_gateway') THEN
        GRANT SELECT ON body_keys, nonces TO reqrun_gateway;
        GRANT INSERT ON body_keys TO reqrun_gateway;
        -- A key of a refused request is deleted again, an expired one is free, a retry takes it.
        GRANT UPDATE, DELETE ON idempotency_keys TO reqrun_gateway;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_executor') THEN
        GRANT SELECT ON body_keys, body_keys_default TO reqrun_executor;
    END IF;
END
$$;
