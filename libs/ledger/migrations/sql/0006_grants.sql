-- The dispatcher has the executor's role.
REVOKE EXECUTE ON FUNCTION retire_requests_v1(text[], text[], text[], integer),
    forget_requests_v1(text, text, integer), end_erasure_v1(text) FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_executor') THEN
        GRANT EXECUTE ON FUNCTION retire_requests_v1(text[], text[], text[], integer),
            forget_requests_v1(text, text, integer), end_erasure_v1(text) TO reqrun_executor;
        GRANT SELECT, INSERT ON erasures TO reqrun_executor;
        GRANT DELETE ON cooldowns TO reqrun_executor;
    END IF;
END
$$;
