-- Lists: every filter over what has ended is one range of one index, newest first. `live` gets no
-- index more: it would cost every claim and renewal, and plans that were made on an empty table
-- would take it for `live_due`.

-- A copy of requests.model, which never changes, so that a rare model among many rows is found at
-- once. Null in a row that the release before this one writes while both run.
ALTER TABLE results ADD COLUMN model text COLLATE "C";
UPDATE results f SET model = r.model FROM requests r WHERE r.id = f.request_id;

DROP INDEX results_by_project;
CREATE INDEX results_by_project ON results (project_id, mode, state, request_id);
CREATE INDEX results_by_model ON results (project_id, mode, model, state, request_id);
CREATE INDEX idempotency_keys_expiring ON idempotency_keys (expires_on);
