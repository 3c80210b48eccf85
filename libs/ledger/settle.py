"""What every end of a request has in common, as the tail of one statement.

A statement that ends requests defines two CTEs and appends `TAIL`:

- `gone`: the live rows it deleted, with `state`, `error_code` and the three token counts;
- `freed` (project_id, mode): one row for each slot that was given up.

The tail writes results, settles the counters by exactly these rows, and tells the fact through the
outbox. Lock order: accounts, then projects, each sorted; `counted` makes the second wait for the
first.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter

from libs.ledger.states import FINAL, State

ENDED: Final = Counter(
    "reqrun_requests_ended_total", "Requests whose end this process committed", ["state"]
)
_ENDED_AS: Final = {state: ENDED.labels(state.value) for state in FINAL}


def count_ends(states: Iterable[State]) -> None:
    """Count these ends, whose transaction has committed; states that are not final are no end."""
    for state in states:
        if state in FINAL:
            _ENDED_AS[state].inc()


TAIL: Final = """
stored AS (
    INSERT INTO results (
        request_id, account_id, project_id, mode, model, state, last_error_code, attempts,
        prompt_tokens, completion_tokens, total_tokens, finished_at, body_expires_on
    )
    SELECT g.id, g.account_id, g.project_id, g.mode, g.model, g.state, g.error_code, g.attempts,
        g.prompt_tokens, g.completion_tokens, g.total_tokens, (SELECT t FROM clock),
        g.body_expires_on
    FROM gone g
), account AS MATERIALIZED (
    SELECT e.account_id, e.mode, e.n
    FROM (SELECT account_id, mode, count(*) AS n FROM gone GROUP BY 1, 2 ORDER BY 1, 2) e
    CROSS JOIN LATERAL (
        SELECT FROM account_counters c WHERE c.account_id = e.account_id AND c.mode = e.mode
        OFFSET 0 FOR UPDATE
    ) c
), account_settled AS (
    UPDATE account_counters c SET pending = c.pending - a.n
    FROM account a
    WHERE c.account_id = a.account_id AND c.mode = a.mode
        AND c.account_id = ANY(ARRAY(SELECT account_id FROM account))
), counted AS MATERIALIZED (
    SELECT count(*) AS n FROM account
), project AS MATERIALIZED (
    SELECT f.project_id, f.mode, f.n
    FROM (
        SELECT project_id, mode, count(*) AS n FROM freed WHERE (SELECT n FROM counted) >= 0
        GROUP BY 1, 2 ORDER BY 1, 2
    ) f
    CROSS JOIN LATERAL (
        SELECT FROM project_counters c WHERE c.project_id = f.project_id AND c.mode = f.mode
        OFFSET 0 FOR UPDATE
    ) c
), project_settled AS (
    UPDATE project_counters c SET slots = c.slots - p.n
    FROM project p
    WHERE c.project_id = p.project_id AND c.mode = p.mode
        AND c.project_id = ANY(ARRAY(SELECT project_id FROM project))
), told AS (
    INSERT INTO outbox (routing_key, body)
    SELECT 'requests.finished', convert_to(json_build_object(
        'type', 'requests.finished',
        'requests', json_agg(json_build_object(
            'id', g.id, 'account_id', g.account_id, 'project_id', g.project_id, 'mode', g.mode,
            'endpoint', g.endpoint, 'model', g.model, 'state', g.state, 'attempts', g.attempts,
            'created_at', g.created_at, 'finished_at', (SELECT t FROM clock),
            'tokens', json_build_object('prompt', g.prompt_tokens,
                'completion', g.completion_tokens, 'total', g.total_tokens)
        ))
    )::text, 'UTF8')
    FROM gone g HAVING count(*) > 0
)
"""
