"""Look: where requests stand, many questions in one statement.

One statement means one snapshot over requests, live and results: a request that finishes meanwhile
is seen before or after, never in between. The result's body is then read by a second statement that
names its day (decision 0006); it is insert-only and committed together with the state.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, TypeGuard

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.states import FINAL, State

_STATES: Final = """
SELECT q.ord, r.id, r.created_at, r.body_expires_on, r.erased_at,
    coalesce(f.state, l.state) AS state, coalesce(f.attempts, l.attempts) AS attempts,
    coalesce(f.finished_at, l.updated_at) AS updated_at,
    CASE WHEN f.request_id IS NULL THEN l.last_error_code ELSE f.last_error_code END AS error_code
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS q (id, project_id, mode, ord)
JOIN requests r ON r.id = q.id AND r.project_id = q.project_id AND r.mode = q.mode
LEFT JOIN live l ON l.id = r.id
LEFT JOIN results f ON f.request_id = r.id
WHERE r.id = ANY($1)
"""

_RESULTS: Final = """
SELECT b.request_id, b.content, k.secret
FROM bodies b JOIN body_keys k USING (request_id, expires_on)
WHERE b.expires_on = ANY($1) AND b.request_id = ANY($2) AND b.kind = 'result'
    AND k.expires_on = ANY($1) AND k.request_id = ANY($2)
"""


class Question(msgspec.Struct, frozen=True):
    """Whose request to look at: the project and the mode are part of it, nobody asks without."""

    project_id: str
    mode: str
    request_id: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request stands.

    `result`: the provider's body, sealed, of a completed request, while it is kept; `body_key` is
    there with it.
    """

    request_id: str
    state: State
    attempts: int
    created_at: datetime
    updated_at: datetime
    last_error_code: str | None
    body_expires_on: date | None = None
    is_erased: bool = False
    result: bytes | None = None
    body_key: bytes | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether it will never change again."""
        return self.state in FINAL


async def look(connection: Connection, questions: Sequence[Question]) -> list[Standing | None]:
    """One answer a question, in order; None where that project and mode have no such request."""
    rows = await connection.fetch(
        _STATES,
        [question.request_id for question in questions],
        [question.project_id for question in questions],
        [question.mode for question in questions],
    )
    found = {row["ord"]: _standing(row) for row in rows}
    return [found.get(number) for number in range(1, len(questions) + 1)]


def has_result(standing: Standing | None) -> TypeGuard[Standing]:
    """Whether there is a body to add."""
    return standing is not None and standing.state is State.COMPLETED and not standing.is_erased


async def add_results(
    connection: Connection, standings: Sequence[Standing | None]
) -> list[Standing | None]:
    """The same standings with the results of those that have one."""
    done = [standing for standing in standings if has_result(standing)]
    rows = await connection.fetch(
        _RESULTS,
        list({standing.body_expires_on for standing in done}),
        [standing.request_id for standing in done],
    )
    found = {row["request_id"]: row for row in rows}
    return [
        standing and _with_result(standing, found.get(standing.request_id))
        for standing in standings
    ]


def _with_result(standing: Standing, row: asyncpg.Record | None) -> Standing:
    if row is None:
        return standing
    return msgspec.structs.replace(standing, result=row["content"], body_key=row["secret"])


def _standing(row: asyncpg.Record) -> Standing:
    return Standing(
        request_id=row["id"],
        state=State(row["state"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_error_code=row["error_code"],
        body_expires_on=row["body_expires_on"],
        is_erased=row["erased_at"] is not None,
    )
