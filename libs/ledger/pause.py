"""Pause: a project gets no slots, nothing of it expires, and what is running finishes.

The flag is committed first: accept and release read it under the lock of the counter, so that after
it no slot is given. Then the slots of what nobody has claimed are taken back. Resume gives every
request at least a day and clears the flag last. Both are harmless again, and may be broken off.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

from libs.ledger.connection import Connection, Database

# How to find a project's open rows `r` without an index of their own, which every claim would pay
# for. Who holds a slot is looked at again within a minute (docs/request-lifecycle.md); the rest of
# the time is for a clock that was set back. Who holds none is in the index of what waits.
HELD: Final = """
    r.slot_at IS NOT NULL AND r.due_at < (SELECT clock_timestamp() + interval '10 min')
"""
WAITING: Final = "r.slot_at IS NULL"
# The same rows by the index of lists. Its condition is said as nobody else says it: no plan that
# was made while `live` was empty takes it for the index of what waits.
LISTED: Final = "(r.slot_at IS NULL) IS TRUE"

MODES: Final = ("live", "test")
LIMIT: Final = 500

# A missing counter is made here too: the first accept must meet the flag. It also sets the limit.
_SET_FLAG: Final = """
INSERT INTO project_counters (project_id, mode, running_limit, is_paused)
SELECT $1, m.mode, 0, true FROM unnest($2::text[]) AS m (mode) ORDER BY m.mode
ON CONFLICT (project_id, mode) DO UPDATE SET is_paused = true
"""

_FREE_SLOTS: Final = f"""
WITH held AS MATERIALIZED (
    SELECT r.id FROM live r
    WHERE r.project_id = $1 AND r.mode = $2 AND r.state IN ('queued', 'retrying') AND {HELD}
    ORDER BY r.id LIMIT $3 FOR UPDATE OF r
), back AS (
    UPDATE live l SET slot_at = NULL, due_at = l.deadline
    FROM held h WHERE l.id = h.id AND l.id = ANY(ARRAY(SELECT id FROM held))
    RETURNING l.project_id, l.mode
), counter AS MATERIALIZED (
    SELECT c.project_id, c.mode, b.n FROM project_counters c
    JOIN (SELECT project_id, mode, count(*) AS n FROM back GROUP BY 1, 2) b USING (project_id, mode)
    ORDER BY 1, 2 FOR UPDATE OF c
), settled AS (
    UPDATE project_counters c SET slots = c.slots - k.n
    FROM counter k WHERE c.project_id = k.project_id AND c.mode = k.mode
)
SELECT count(*) FROM back
"""

_PAUSED: Final = """
SELECT clock_timestamp() + interval '24 h'
FROM project_counters WHERE project_id = $1 AND is_paused LIMIT 1
"""

# What holds a slot was claimed before the pause: it keeps the time of its next look.
_EXTEND_HELD: Final = f"""
WITH short AS MATERIALIZED (
    SELECT r.id FROM live r
    WHERE r.project_id = $1 AND r.mode = $2 AND {HELD} AND r.deadline < $3
    ORDER BY r.id FOR UPDATE OF r
)
UPDATE live r SET deadline = $3
FROM short s WHERE r.id = s.id AND r.id = ANY(ARRAY(SELECT id FROM short))
RETURNING r.id
"""

# What waits, in the order of its index, which this does not change.
_NEXT_WAITING: Final = f"""
SELECT r.state, r.not_before, r.id FROM live r
WHERE r.project_id = $1 AND r.mode = $2 AND {WAITING}
    AND (r.state, r.not_before, r.id) > ($3, $4, $5)
ORDER BY r.project_id, r.mode, r.state, r.not_before, r.id LIMIT $6
"""
_EXTEND_WAITING: Final = f"""
WITH short AS MATERIALIZED (
    SELECT r.id FROM live r WHERE r.id = ANY($1) AND {WAITING} AND r.deadline < $2
    ORDER BY r.id FOR UPDATE OF r
)
UPDATE live r SET deadline = $2, due_at = $2
FROM short s WHERE r.id = s.id AND r.id = ANY(ARRAY(SELECT id FROM short))
RETURNING r.id
"""

_CLEAR: Final = """
WITH paused AS MATERIALIZED (
    SELECT c.project_id, c.mode FROM project_counters c WHERE c.project_id = $1 AND c.is_paused
    ORDER BY 1, 2 FOR UPDATE OF c
)
UPDATE project_counters c SET is_paused = false
FROM paused p WHERE c.project_id = p.project_id AND c.mode = p.mode
"""


class _Key(NamedTuple):
    """A place in the index of what waits."""

    state: str
    not_before: datetime
    id: str


_FIRST: Final = _Key("", datetime(1970, 1, 1, tzinfo=UTC), "")


async def pause(database: Database, project_id: str) -> int:
    """Pause it in both modes; how many slots were taken back. Raises LedgerAway."""
    await database.run(partial(_flag, project_id=project_id))
    taken = 0
    for mode in MODES:
        while some := await database.run(partial(_take_back, project_id=project_id, mode=mode)):
            taken += some
    return taken


async def resume(database: Database, project_id: str) -> int:
    """End the pause; how many deadlines moved. Nothing where there is none. Raises LedgerAway."""
    deadline = await database.run(partial(_find_new_deadline, project_id=project_id))
    if deadline is None:
        return 0
    moved = 0
    for mode in MODES:
        # First what is running: it may become what waits, but not the other way round.
        of = (project_id, mode, deadline)
        moved += await database.run(partial(_extend_held, of=of))
        last: _Key | None = _FIRST
        while last is not None:
            some, last = await database.run(partial(_extend_waiting, of=of, after=last))
            moved += some
    await database.run(partial(clear_pause, project_id=project_id))
    return moved


async def clear_pause(connection: Connection, project_id: str) -> None:
    """Only this: slots are given and deadlines count from its commit on."""
    await connection.execute(_CLEAR, project_id)


async def _flag(connection: Connection, project_id: str) -> None:
    await connection.execute(_SET_FLAG, project_id, MODES)


async def _take_back(connection: Connection, project_id: str, mode: str) -> int:
    taken: int = await connection.fetchval(_FREE_SLOTS, project_id, mode, LIMIT)
    return taken


async def _find_new_deadline(connection: Connection, project_id: str) -> datetime | None:
    deadline: datetime | None = await connection.fetchval(_PAUSED, project_id)
    return deadline


async def _extend_held(connection: Connection, of: tuple[str, str, datetime]) -> int:
    return len(await connection.fetch(_EXTEND_HELD, *of))


async def _extend_waiting(
    connection: Connection, of: tuple[str, str, datetime], after: _Key
) -> tuple[int, _Key | None]:
    """Extend some; how many were short, and where to go on: None once there are no more."""
    *project, deadline = of
    rows = await connection.fetch(_NEXT_WAITING, *project, *after, LIMIT)
    if not rows:
        return 0, None
    ids = [row["id"] for row in rows]
    extended = await connection.fetch(_EXTEND_WAITING, ids, deadline)
    last = rows[-1]
    return len(extended), _Key(last["state"], last["not_before"], last["id"])
