-- Open work is small and hot, history is large and only grows: different tables.
-- Ids sort by creation time in byte order, hence COLLATE "C" on every one of them.

CREATE TABLE requests (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    endpoint text NOT NULL,
    model text NOT NULL CHECK (octet_length(model) <= 256),
    created_at timestamptz NOT NULL,
    body_expires_on date NOT NULL,
    retried_from text COLLATE "C",
    erased_at timestamptz
);
CREATE INDEX requests_by_project ON requests (project_id, mode, id);

-- Open requests only. fillfactor leaves room for updates on the page; finish deletes the row.
CREATE TABLE live (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'processing', 'retrying')),
    endpoint text NOT NULL,
    model text NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    counted integer NOT NULL DEFAULT 0,
    timeouts integer NOT NULL DEFAULT 0,
    crash_count integer NOT NULL DEFAULT 0,
    fence integer NOT NULL DEFAULT 0,
    lease_owner text,
    lease_until timestamptz,
    started_at timestamptz,
    sent_at timestamptz,
    slot_at timestamptz,
    not_before timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    deadline timestamptz NOT NULL,
    max_attempts integer NOT NULL,
    call_timeout integer NOT NULL,
    fails_on_unknown boolean NOT NULL,
    body_expires_on date NOT NULL,
    last_error_code text,
    CHECK ((state = 'processing') = (lease_until IS NOT NULL)),
    CHECK (state <> 'processing' OR slot_at IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX live_due ON live (due_at);
CREATE INDEX live_waiting ON live (project_id, mode, state, not_before, id) WHERE slot_at IS NULL;

CREATE TABLE results (
    request_id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    state text NOT NULL CHECK (state IN ('completed', 'failed', 'cancelled')),
    last_error_code text,
    attempts integer NOT NULL,
    prompt_tokens integer NOT NULL DEFAULT 0,
    completion_tokens integer NOT NULL DEFAULT 0,
    total_tokens integer NOT NULL DEFAULT 0,
    finished_at timestamptz NOT NULL,
    body_expires_on date NOT NULL
);
CREATE INDEX results_by_project ON results (project_id, state, request_id);

-- One call to the provider. No prompt and no answer: the timeline outlives the bodies.
CREATE TABLE attempts (
    request_id text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    fence integer NOT NULL,
    executor text,
    started_at timestamptz NOT NULL,
    sent_at timestamptz,
    finished_at timestamptz NOT NULL,
    status_code integer,
    error_code text,
    outcome text NOT NULL CHECK (
        outcome IN ('completed', 'transient', 'permanent', 'lost', 'ambiguous', 'cancelled')
    ),
    retry_at timestamptz,
    retry_rule text,
    provider_request_id text,
    provider_headers jsonb,
    prompt_tokens integer,
    completion_tokens integer,
    total_tokens integer,
    PRIMARY KEY (request_id, number)
);

-- Append-only. Every statement names the day, so that it touches one partition.
CREATE TABLE bodies (
    request_id text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('request', 'result', 'provider_error')),
    number integer NOT NULL,
    expires_on date NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (request_id, kind, number, expires_on)
) PARTITION BY RANGE (expires_on);
ALTER TABLE bodies ALTER COLUMN content SET STORAGE EXTERNAL;
-- A row here means that partitions were not made in time: an alarm, never a loss.
CREATE TABLE bodies_default PARTITION OF bodies DEFAULT;

CREATE TABLE idempotency_keys (
    project_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    key text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    expires_on date NOT NULL,
    PRIMARY KEY (project_id, mode, key)
);

CREATE TABLE nonces (
    key_id text COLLATE "C" NOT NULL,
    nonce text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, nonce)
);
CREATE INDEX nonces_expiring ON nonces (expires_at);

CREATE TABLE cooldowns (
    connection_id text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (connection_id, model)
);

-- Whoever deletes a live row or changes its slot_at settles these in the same transaction.
CREATE TABLE account_counters (
    account_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    pending integer NOT NULL DEFAULT 0 CHECK (pending >= 0),
    period date NOT NULL,
    accepted bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, mode)
) WITH (fillfactor = 30);

CREATE TABLE project_counters (
    project_id text COLLATE "C" NOT NULL,
    mode text NOT NULL,
    slots integer NOT NULL DEFAULT 0 CHECK (slots >= 0),
    running_limit integer NOT NULL,
    is_paused boolean NOT NULL DEFAULT false,
    PRIMARY KEY (project_id, mode)
) WITH (fillfactor = 30);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    routing_key text NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz
);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;
