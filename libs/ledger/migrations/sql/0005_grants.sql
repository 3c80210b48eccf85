-- The executor's dispatcher counts; the gateway reads what was counted, how far, and of the outbox
-- when the oldest uncounted fact became true.
REVOKE EXECUTE ON FUNCTION roll_up_v1(integer), count_ended_v1(ended_v1[]), uncounted_v1(integer)
    FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_gateway') THEN
        GRANT SELECT ON rollups, model_rollups, rollup_progress, cooldowns TO reqrun_gateway;
        GRANT SELECT (id, created_at) ON outbox TO reqrun_gateway;
        GRANT EXECUTE ON FUNCTION uncounted_v1(integer) TO reqrun_gateway;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_executor') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON rollups, model_rollups TO reqrun_executor;
        GRANT SELECT, UPDATE ON rollup_progress TO reqrun_executor;
        GRANT EXECUTE ON FUNCTION roll_up_v1(integer), count_ended_v1(ended_v1[]),
            uncounted_v1(integer) TO reqrun_executor;
    END IF;
END
$$;
