-- Drops one day of `bodies` or `body_keys` whose day has come; answers whether it did. Runs with
-- its owner's rights, because the executor, whose maintenance loop calls it, owns no table. A day
-- that an open request still names stays: its bodies are moved first.
--
-- A drop takes ACCESS EXCLUSIVE on the parent, and every accept queues behind that wish, so it is
-- given up after a tenth of a second (SQLSTATE 55P03) and tried again a minute later. One table a
-- call, so that a transaction holds one such lock at a time. DETACH CONCURRENTLY would wait more
-- politely, but PostgreSQL refuses it beside a default partition.
CREATE FUNCTION drop_body_partition_v1(parent text, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '100ms'
AS $$
BEGIN
    IF parent NOT IN ('bodies', 'body_keys') OR day > (now() AT TIME ZONE 'UTC')::date THEN
        RAISE EXCEPTION 'not a day of bodies that has come' USING ERRCODE = '22023';
    END IF;
    -- Whoever writes a body holds its live row. None names this day: none will.
    IF EXISTS (SELECT FROM live l WHERE l.body_expires_on <= day) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', format('%s_%s', parent, to_char(day, 'YYYYMMDD')));
    RETURN true;
END
$$;

-- Makes the daily partitions of both from tomorrow to `days` ahead: accept writes to none before the
-- day after tomorrow, and today's is to be dropped. A new partition takes the same lock.
CREATE FUNCTION make_body_partitions_v3(days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
    day date;
    parent text;
    partition text;
    made integer := 0;
BEGIN
    FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(1, days) AS n LOOP
        FOREACH parent IN ARRAY ARRAY['bodies', 'body_keys'] LOOP
            partition := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
            IF to_regclass(partition) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    partition, parent, day, day + 1
                );
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
DROP FUNCTION make_body_partitions_v2(integer);
