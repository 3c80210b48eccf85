"""What must be true of the ledger's rows at every moment at which nothing is under way.

Each truth is a query for what breaks it, so that a test has to know nothing of what was done before
to find that it went wrong. They are asked together, in one statement and so in one snapshot.
"""

from typing import Any, Final

_FACTS: Final = """
ended AS MATERIALIZED (
    SELECT one ->> 'id' AS id, one ->> 'state' AS state,
        (one -> 'tokens' ->> 'total')::integer AS tokens
    FROM outbox, json_array_elements(convert_from(body, 'UTF8')::json -> 'requests') AS one
), there AS MATERIALIZED (
    SELECT id, attempts - (state = 'processing')::integer AS attempts FROM live
    UNION ALL SELECT request_id, attempts FROM results
), kept AS MATERIALIZED (
    SELECT request_id, count(*) FILTER (WHERE kind = 'result') AS results,
        count(*) FILTER (WHERE kind = 'request') AS requests, count(*) AS bodies
    FROM bodies GROUP BY 1
), keys AS MATERIALIZED (
    SELECT request_id, count(*) AS keys FROM body_keys GROUP BY 1
)
"""

_BROKEN: Final = {
    "a request is either open or final": """
        SELECT id FROM requests r FULL JOIN there t USING (id)
        GROUP BY 1 HAVING count(r.id) <> 1 OR count(t.id) <> 1
    """,
    "the pending counter of an account is the number of its open requests": """
        SELECT account_id FROM account_counters c
        FULL JOIN (SELECT account_id, mode, count(*) AS n FROM live GROUP BY 1, 2) l
            USING (account_id, mode)
        WHERE coalesce(c.pending, 0) <> coalesce(l.n, 0)
    """,
    "the slot counter of a project is the number of slots held, within its limit": """
        SELECT project_id FROM project_counters c
        FULL JOIN (
            SELECT project_id, mode, count(*) AS n FROM live WHERE slot_at IS NOT NULL GROUP BY 1, 2
        ) l USING (project_id, mode)
        WHERE coalesce(c.slots, 0) <> coalesce(l.n, 0)
            OR (NOT c.is_paused AND c.slots > c.running_limit)
    """,
    "in a paused project only what runs holds a slot": """
        SELECT l.id FROM live l JOIN project_counters c USING (project_id, mode)
        WHERE c.is_paused AND l.slot_at IS NOT NULL AND l.state <> 'processing'
    """,
    "an end is told once, as it was": """
        SELECT coalesce(e.id, f.request_id) FROM ended e FULL JOIN results f
            ON f.request_id = e.id AND f.state = e.state AND f.total_tokens = e.tokens
        GROUP BY 1 HAVING count(e.id) <> 1 OR count(f.request_id) <> 1
    """,
    "the attempts that are counted are those that are kept, numbered from 1": """
        SELECT t.id FROM there t LEFT JOIN attempts a ON a.request_id = t.id
        GROUP BY t.id, t.attempts
        HAVING count(a.number) <> t.attempts OR coalesce(max(a.number), 0) <> t.attempts
    """,
    "no fence is used twice, and none is above that of its request": """
        SELECT request_id FROM attempts GROUP BY request_id, fence HAVING count(*) > 1
        UNION ALL
        SELECT l.id FROM attempts a JOIN live l ON l.id = a.request_id WHERE a.fence > l.fence
    """,
    "a completed request has one result, and no other has any": """
        SELECT r.id FROM requests r
        LEFT JOIN results f ON f.request_id = r.id LEFT JOIN kept k ON k.request_id = r.id
        WHERE coalesce(k.results, 0)
            <> (r.erased_at IS NULL AND coalesce(f.state, '') = 'completed')::integer
    """,
    "content and its key are there until they are erased, and not a moment longer": """
        SELECT r.id FROM requests r
        LEFT JOIN kept k ON k.request_id = r.id LEFT JOIN keys s ON s.request_id = r.id
        WHERE (coalesce(k.requests, 0), coalesce(s.keys, 0))
                <> ((r.erased_at IS NULL)::integer, (r.erased_at IS NULL)::integer)
            OR (r.erased_at IS NOT NULL AND k.bodies > 0)
    """,
    "an open request is looked at again, at its deadline at the latest": """
        SELECT l.id FROM live l JOIN project_counters c USING (project_id, mode)
        WHERE NOT CASE
            WHEN l.state = 'processing' THEN l.slot_at IS NOT NULL AND l.due_at = l.lease_until
            WHEN l.slot_at IS NOT NULL
                THEN l.due_at <= least(l.deadline, clock_timestamp() + interval '1 min')
            WHEN c.is_paused
                THEN l.due_at <= greatest(l.deadline, clock_timestamp() + interval '10 min')
            ELSE l.due_at <= l.deadline OR l.due_at <= clock_timestamp() + interval '10 min'
        END
    """,
}

_QUERIES: Final = [
    f"SELECT '{truth}' AS truth, id FROM ({query}) AS broken (id)"  # noqa: S608
    for truth, query in _BROKEN.items()
]
_STATEMENT: Final = f"WITH {_FACTS} {' UNION ALL '.join(_QUERIES)}"


async def broken_truths(sql: Any) -> list[tuple[str, str]]:
    """Every truth that does not hold, and of what: a request, an account or a project."""
    return [(row["truth"], row["id"]) for row in await sql.fetch(_STATEMENT)]
