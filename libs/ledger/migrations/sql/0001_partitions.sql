-- Makes the daily partitions of `bodies` from today to `days` ahead. Runs with its owner's rights,
-- because the executor, whose maintenance loop calls it, owns no table.
CREATE FUNCTION make_body_partitions_v1(days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    day date;
    made integer := 0;
BEGIN
    FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, days) AS n LOOP
        IF to_regclass(format('bodies_%s', to_char(day, 'YYYYMMDD'))) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF bodies FOR VALUES FROM (%L) TO (%L)',
                format('bodies_%s', to_char(day, 'YYYYMMDD')), day, day + 1
            );
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;
