"""Look: where requests stand, many questions in one statement (migrations/sql/0004_look.sql).

One statement means one snapshot: a request that finishes meanwhile is seen before or after, never
in between.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.states import FINAL, State

_STATEMENT: Final = "SELECT * FROM look_v2($1, $2, $3, $4)"

SMALL: Final = 256 * 1024
"""A larger result is not brought with others': one statement must end within its time-out."""

ANY: Final = 2**31 - 1


class Question(msgspec.Struct, frozen=True):
    """Whose request to look at: the project and the mode are part of it, nobody asks without."""

    project_id: str
    mode: str
    request_id: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request stands.

    `result`: the provider's body, sealed, of a completed request, where it was asked for and is
    kept; `body_key` is there with it. `is_left_out`: it is there, and larger than was asked for.
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
    is_left_out: bool = False

    @property
    def is_final(self) -> bool:
        """Tell whether it will never change again."""
        return self.state in FINAL


async def look(
    connection: Connection, questions: Sequence[Question], *, result_bytes: int = 0
) -> list[Standing | None]:
    """One answer a question, in order; None where that project and mode have no such request.

    `result_bytes`: with the results of the completed ones, up to this size each; 0: with none.
    """
    rows = await connection.fetch(
        _STATEMENT,
        [question.request_id for question in questions],
        [question.project_id for question in questions],
        [question.mode for question in questions],
        result_bytes,
    )
    found = {row["ord"]: _standing(row) for row in rows}
    return [found.get(number) for number in range(1, len(questions) + 1)]


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
        result=row["result"],
        body_key=row["body_key"],
        is_left_out=row["is_left_out"],
    )
