-- How long records of a project's requests are kept once their bodies are gone: what its account
-- was allowed when it last submitted (decision 0016).
ALTER TABLE project_counters
    ADD COLUMN metadata_seconds integer NOT NULL DEFAULT 2592000 CHECK (metadata_seconds > 0);

-- Projects of accounts that were deleted: all that is known of them is to go. A row stands here
-- until that is done, so that it may be broken off at any time.
CREATE TABLE erasures (
    project_id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX erasures_by_account ON erasures (account_id);
