"""Export: a page of a project's requests whole, with attempts and sealed bodies, newest first.

Bounded by what its bodies weigh, so that opening them keeps no other caller of a gateway waiting.
The page is of one snapshot; what is read of it afterwards is gone where its time has come between.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import asyncpg
import msgspec

from libs.ledger.connection import Connection
from libs.ledger.list_requests import Listed, ListQuestion, list_requests
from libs.ledger.reveal import SealedBody
from libs.ledger.timeline import Attempt, attempts_of_all

BYTES: Final = 1024 * 1024
"""A page ends before its bodies weigh more; one request alone may."""

_TOKENS: Final = """
SELECT f.request_id, f.prompt_tokens, f.completion_tokens, f.total_tokens
FROM results f WHERE f.request_id = ANY($1)
"""

# The days are named, so that no other partition is looked into (decision 0006). Only sizes: bodies
# are stored as they are, so that none is read for it.
_WEIGHTS: Final = """
SELECT b.request_id, sum(octet_length(b.content)) AS bytes FROM bodies b
WHERE b.expires_on = ANY($1) AND b.request_id = ANY($2)
GROUP BY b.request_id
"""
_BODIES: Final = """
SELECT b.request_id, b.kind, b.number, b.content, k.secret
FROM body_keys k JOIN bodies b USING (request_id, expires_on)
WHERE k.expires_on = ANY($1) AND k.request_id = ANY($2)
    AND b.expires_on = ANY($1) AND b.request_id = ANY($2)
ORDER BY b.request_id, b.kind, b.number
"""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One request. The tokens are the result's; None while there is none."""

    listed: Listed
    timeline: list[Attempt]
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    bodies: list[SealedBody]


class ExportPage(msgspec.Struct, frozen=True):
    """`has_more`: there are older ones than its last."""

    requests: list[Exported]
    has_more: bool


async def export_page(
    connection: Connection, question: ListQuestion, *, has_content: bool
) -> ExportPage:
    """One less than `question.limit`, which shows whether there are more, or what is not too large.

    To be planned each time.
    """
    listed = await list_requests(connection, question)
    page = listed[: question.limit - 1]
    if has_content:
        page = await _bounded(connection, page)
    return ExportPage(await _whole(connection, page, has_content), len(page) < len(listed))


async def _bounded(connection: Connection, page: list[Listed]) -> list[Listed]:
    """As many of the first as weigh no more than BYTES, and one at the least."""
    rows = await connection.fetch(_WEIGHTS, _days(page), _ids(page))
    weights = {row["request_id"]: int(row["bytes"]) for row in rows}
    whole, count = 0, 0
    for one in page:
        whole += weights.get(one.id, 0)
        if whole > BYTES and count:
            break
        count += 1
    return page[:count]


async def _whole(
    connection: Connection, page: Sequence[Listed], has_content: bool
) -> list[Exported]:
    ids = _ids(page)
    tokens = {row["request_id"]: row for row in await connection.fetch(_TOKENS, ids)}
    timelines = await attempts_of_all(connection, ids)
    bodies = await _bodies(connection, page) if has_content else {}
    return [
        Exported(
            listed=one,
            timeline=timelines.get(one.id, []),
            prompt_tokens=_of(tokens.get(one.id), "prompt_tokens"),
            completion_tokens=_of(tokens.get(one.id), "completion_tokens"),
            total_tokens=_of(tokens.get(one.id), "total_tokens"),
            bodies=bodies.get(one.id, []),
        )
        for one in page
    ]


async def _bodies(connection: Connection, page: Sequence[Listed]) -> dict[str, list[SealedBody]]:
    found: dict[str, list[SealedBody]] = defaultdict(list)
    for row in await connection.fetch(_BODIES, _days(page), _ids(page)):
        body = SealedBody(row["kind"], row["number"], row["content"], row["secret"])
        found[row["request_id"]].append(body)
    return found


def _ids(page: Iterable[Listed]) -> list[str]:
    return [one.id for one in page]


def _days(page: Iterable[Listed]) -> list[date]:
    return sorted({one.body_expires_on for one in page})


def _of(row: asyncpg.Record | None, name: str) -> int | None:
    return None if row is None else row[name]
