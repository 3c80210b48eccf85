-- Idempotency, retries, and the key that a request's bodies are sealed with.

ALTER TABLE requests ADD COLUMN idempotency_key text COLLATE "C";
-- A failed request is retried once; whoever asks again gets the retry that is there.
CREATE UNIQUE INDEX requests_retried_from ON requests (retried_from) WHERE retried_from IS NOT NULL;

-- One half of what opens a request's bodies; the other is its project's data key (database
-- `accounts`). Dumped apart from everything else and kept for days only, so that what is erased
-- here is soon gone from the backups too (docs/operations.md).
CREATE TABLE body_keys (
    request_id text COLLATE "C" NOT NULL,
    expires_on date NOT NULL,
    secret bytea NOT NULL,
    PRIMARY KEY (request_id, expires_on)
) PARTITION BY RANGE (expires_on);
CREATE TABLE body_keys_default PARTITION OF body_keys DEFAULT;

-- Makes the daily partitions of `bodies` and `body_keys` from today to `days` ahead.
CREATE FUNCTION make_body_partitions_v2(days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    day date;
    parent text;
    partition text;
    made integer := 0;
BEGIN
    FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, days) AS n LOOP
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
DROP FUNCTION make_body_partitions_v1(integer);
