"""Original: all that is needed to repeat a failed request."""

from typing import Final

import msgspec

from libs.ledger.connection import Connection
from libs.ledger.look import Question
from libs.ledger.states import State

_STATEMENT: Final = """
SELECT coalesce(f.state, l.state) AS state, r.endpoint, r.model, r.idempotency_key,
    r.body_expires_on
FROM requests r LEFT JOIN live l ON l.id = r.id LEFT JOIN results f ON f.request_id = r.id
WHERE r.id = $1 AND r.project_id = $2 AND r.mode = $3
"""

_BODY: Final = """
SELECT b.content, k.secret FROM bodies b JOIN body_keys k USING (request_id, expires_on)
WHERE b.expires_on = $1 AND b.request_id = $2 AND b.kind = 'request' AND b.number = 0
    AND k.expires_on = $1 AND k.request_id = $2
"""


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it was submitted. `body`, sealed, and `body_key` are None once they are gone."""

    state: State
    endpoint: str
    model: str
    idempotency_key: str | None
    body: bytes | None
    body_key: bytes | None


async def find_original(connection: Connection, question: Question) -> Original | None:
    """None where that project and mode have no such request."""
    row = await connection.fetchrow(
        _STATEMENT, question.request_id, question.project_id, question.mode
    )
    if row is None:
        return None
    body = await connection.fetchrow(_BODY, row["body_expires_on"], question.request_id)
    return Original(
        state=State(row["state"]),
        endpoint=row["endpoint"],
        model=row["model"],
        idempotency_key=row["idempotency_key"],
        body=None if body is None else body["content"],
        body_key=None if body is None else body["secret"],
    )
