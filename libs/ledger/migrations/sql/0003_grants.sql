-- What life after submit adds. The gateway lists, cancels and erases; the executor's dispatcher
-- pauses, erases projects and purges. Neither may change what a request asked for, or its answer.
REVOKE EXECUTE ON FUNCTION make_body_partitions_v3(integer), drop_body_partition_v1(text, date)
    FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_gateway') THEN
        GRANT DELETE ON live, bodies, body_keys TO reqrun_gateway;
        GRANT INSERT ON results, attempts, outbox TO reqrun_gateway;
        GRANT UPDATE (erased_at) ON requests TO reqrun_gateway;
        -- Only to lock the row: SELECT … FOR UPDATE asks for the right to change a column of it.
        GRANT UPDATE (updated_at) ON live TO reqrun_gateway;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_executor') THEN
        GRANT SELECT, DELETE ON nonces, idempotency_keys TO reqrun_executor;
        GRANT DELETE ON bodies, body_keys TO reqrun_executor;
        GRANT INSERT ON project_counters TO reqrun_executor;
        GRANT UPDATE (erased_at, body_expires_on) ON requests TO reqrun_executor;
        GRANT UPDATE (expires_on) ON bodies, body_keys, idempotency_keys TO reqrun_executor;
        GRANT EXECUTE ON FUNCTION make_body_partitions_v3(integer),
            drop_body_partition_v1(text, date) TO reqrun_executor;
    END IF;
END
$$;
