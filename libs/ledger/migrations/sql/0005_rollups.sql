-- Roll-ups: what has ended, per project, by hour and by day (UTC). Kept 400 days; deleted with the
-- project. Requests are purged long before.

CREATE TABLE rollups (
    project_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    step text NOT NULL CHECK (step IN ('hour', 'day')),
    starts_at timestamptz NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    cancelled bigint NOT NULL,
    repeated bigint NOT NULL,
    attempts bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    waiting_ms bigint NOT NULL,
    provider_ms bigint NOT NULL,
    -- How many took how long from accept to end, by latency_bucket_v1; always 120.
    latencies integer[] NOT NULL,
    PRIMARY KEY (project_id, mode, step, starts_at)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
CREATE INDEX rollups_by_time ON rollups (starts_at);

-- By model. Fifty models a project and step have rows of their own; the rest is counted under
-- the empty name: a model's name is the caller's, and may be another in every call.
CREATE TABLE model_rollups (
    project_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    step text NOT NULL CHECK (step IN ('hour', 'day')),
    starts_at timestamptz NOT NULL,
    model text COLLATE "C" NOT NULL,
    requests bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    PRIMARY KEY (project_id, mode, step, starts_at, model)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
CREATE INDEX model_rollups_by_time ON model_rollups (starts_at);

-- Which rows of the outbox are counted: all below `floor`, and those in `taken`. One row; who counts
-- holds its lock, and changes it in the transaction that counts. How `floor` rises past numbers that
-- no row will ever have: 0005_roll_up.sql.
CREATE TABLE rollup_progress (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    floor bigint NOT NULL DEFAULT 0,
    taken int8multirange NOT NULL DEFAULT '{}',
    seen bigint NOT NULL DEFAULT 0,
    settling bigint,
    settling_since xid8
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- What is counted of a request that has ended.
CREATE TYPE ended_v1 AS (
    id text, project_id text, mode text, model text, state text, attempts integer,
    prompt_tokens integer, completion_tokens integer,
    created_at timestamptz, finished_at timestamptz
);

-- Four an octave, so that a bucket's bounds are 19 % apart: bucket n holds what took from
-- 2^((n-1)/4) to 2^(n/4) milliseconds, the first all that is quicker, the last (12 days) all that is
-- slower. services/gateway/domain/latencies.py reads them.
CREATE FUNCTION latency_bucket_v1(milliseconds double precision) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT least(120, 1 + floor(4 * ln(greatest(milliseconds, 1)) / ln(2)))::integer
$$;

CREATE FUNCTION add_counts_v1(integer[], integer[]) RETURNS integer[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY n)
    FROM unnest($1, $2) WITH ORDINALITY AS both_of (a, b, n)
$$;
