-- All that has ended so far. One statement, one snapshot: a result is in it exactly if the row of the
-- outbox is that was committed with it, so that what ends meanwhile is counted later, and once.
-- Nothing waits for this. Sorted, so that one hour of one project is in memory at a time.
SET LOCAL enable_hashagg = off;
WITH told AS (
    SELECT coalesce(range_agg(int8range(o.id, o.id, '[]')), '{}') AS taken,
        coalesce(max(o.id), 0) AS seen
    FROM outbox o
), past AS (
    SELECT count_ended_v1(array_agg((
        f.request_id, f.project_id, f.mode, r.model, f.state, f.attempts, f.prompt_tokens,
        f.completion_tokens, r.created_at, f.finished_at
    )::ended_v1)) AS n
    FROM results f JOIN requests r ON r.id = f.request_id
    GROUP BY f.project_id, date_trunc('hour', f.finished_at, 'UTC')
)
INSERT INTO rollup_progress (taken, seen)
SELECT told.taken, told.seen FROM told, (SELECT sum(n) FROM past) AS past;
RESET enable_hashagg;
