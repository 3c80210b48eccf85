"""Timeline: the attempts of one request, ended ones from `attempts`, a running one from `live`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.look import Question

_ATTEMPTS: Final = """
SELECT a.request_id, a.number, a.started_at, a.sent_at, a.finished_at, a.status_code,
    a.error_code, a.outcome, a.retry_at, a.retry_rule, a.provider_request_id,
    a.provider_headers::text AS provider_headers, a.prompt_tokens, a.completion_tokens,
    a.total_tokens
FROM attempts a WHERE a.request_id = ANY($1)
UNION ALL
SELECT l.id, l.attempts, l.started_at, l.sent_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL
FROM live l WHERE l.id = ANY($1) AND l.state = 'processing'
ORDER BY 1, 2
"""

_OWNED: Final = """
SELECT body_expires_on FROM requests WHERE id = $1 AND project_id = $2 AND mode = $3
"""

_ERRORS: Final = """
SELECT b.number, b.content, k.secret
FROM bodies b JOIN body_keys k USING (request_id, expires_on)
WHERE b.expires_on = $1 AND b.request_id = $2 AND b.kind = 'provider_error'
    AND k.expires_on = $1 AND k.request_id = $2
"""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call to the provider. `finished_at` and `outcome` are None while it runs.

    `provider_error`: the provider's own error body, sealed, for the owner's eyes, while it is
    kept; `body_key` is there with it.
    """

    number: int
    started_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    status_code: int | None
    error_code: str | None
    outcome: str | None
    retry_at: datetime | None
    retry_rule: str | None
    provider_request_id: str | None
    provider_headers: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    provider_error: bytes | None = None
    body_key: bytes | None = None


async def timeline(connection: Connection, question: Question) -> list[Attempt] | None:
    """All attempts, first to last; None where that project and mode have no such request."""
    day = await connection.fetchval(_OWNED, question.request_id, question.project_id, question.mode)
    if day is None:
        return None
    attempts = await attempts_of(connection, question.request_id)
    errors = await connection.fetch(_ERRORS, day, question.request_id)
    found = {row["number"]: row for row in errors}
    return [_with_error(attempt, found.get(attempt.number)) for attempt in attempts]


async def attempts_of(connection: Connection, request_id: str) -> list[Attempt]:
    """All attempts of a request that is known to be the caller's, without the provider's errors."""
    return (await attempts_of_all(connection, [request_id])).get(request_id, [])


async def attempts_of_all(
    connection: Connection, request_ids: Sequence[str]
) -> dict[str, list[Attempt]]:
    """The same of several; who has none is absent."""
    found: dict[str, list[Attempt]] = {}
    for row in await connection.fetch(_ATTEMPTS, request_ids):
        fields = dict(row)
        found.setdefault(fields.pop("request_id"), []).append(Attempt(**fields))
    return found


def _with_error(attempt: Attempt, error: asyncpg.Record | None) -> Attempt:
    if error is None:
        return attempt
    return msgspec.structs.replace(
        attempt, provider_error=error["content"], body_key=error["secret"]
    )
