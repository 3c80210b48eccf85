"""Reveal: all that is kept of one request's content, sealed, for its owner."""

from datetime import date, datetime
from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.look import Question

_OWNED: Final = """
SELECT body_expires_on, erased_at FROM requests
WHERE id = $1 AND project_id = $2 AND mode = $3
"""

# One partition: the day is named (decision 0006).
_BODIES: Final = """
SELECT b.kind, b.number, b.content, k.secret
FROM body_keys k JOIN bodies b USING (request_id, expires_on)
WHERE k.expires_on = $1 AND k.request_id = $2 AND b.expires_on = $1 AND b.request_id = $2
ORDER BY b.kind, b.number
"""


class SealedBody(msgspec.Struct, frozen=True):
    """One body. `kind`: request, result, provider_error; `number`: the attempt's."""

    kind: str
    number: int
    content: bytes
    body_key: bytes


class Revealed(msgspec.Struct, frozen=True, kw_only=True):
    """What is there. `erased_at`: somebody wished it away; `expires_on`: the day its time is up."""

    erased_at: datetime | None
    expires_on: date
    bodies: list[SealedBody]


async def reveal(connection: Connection, question: Question) -> Revealed | None:
    """None where that project and mode have no such request."""
    row = await connection.fetchrow(_OWNED, question.request_id, question.project_id, question.mode)
    if row is None:
        return None
    day = row["body_expires_on"]
    bodies = await connection.fetch(_BODIES, day, question.request_id)
    return Revealed(
        erased_at=row["erased_at"], expires_on=day, bodies=[_sealed(body) for body in bodies]
    )


def _sealed(row: asyncpg.Record) -> SealedBody:
    return SealedBody(row["kind"], row["number"], row["content"], row["secret"])
