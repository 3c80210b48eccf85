-- Billing compares its books with the ledger through the gateway. What is being erased is told apart.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_gateway') THEN
        GRANT SELECT ON erasures TO reqrun_gateway;
    END IF;
END
$$;
