-- The autoscaler of executors (deploy/k8s) reads how many slots are held, and nothing else. The role
-- is made by whoever runs the database; where it is not there nothing is granted.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reqrun_scaler') THEN
        GRANT USAGE ON SCHEMA public TO reqrun_scaler;
        GRANT SELECT (slots) ON project_counters TO reqrun_scaler;
    END IF;
END
$$;
