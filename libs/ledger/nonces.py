"""Nonces: a signed call is taken once.

A nonce belongs to its API key. It is spent in the transaction of what it protects; reads, which
change nothing, spend theirs here, many in one statement.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from libs.ledger.connection import Connection

_STATEMENT: Final = """
INSERT INTO nonces (key_id, nonce, expires_at)
SELECT DISTINCT u.key_id, u.nonce, clock_timestamp() + interval '15 min'
FROM unnest($1::text[], $2::text[]) AS u (key_id, nonce)
ORDER BY 1, 2
ON CONFLICT DO NOTHING RETURNING key_id, nonce
"""


class Nonce(msgspec.Struct, frozen=True):
    """What makes a signed call unique among all calls with one API key."""

    key_id: str
    nonce: str


async def spend(connection: Connection, nonces: Sequence[Nonce]) -> list[bool]:
    """Whether each was new; the first of two that are the same is, the second is not."""
    rows = await connection.fetch(
        _STATEMENT, [one.key_id for one in nonces], [one.nonce for one in nonces]
    )
    new = {Nonce(row["key_id"], row["nonce"]) for row in rows}
    answers = []
    for one in nonces:
        answers.append(one in new)
        new.discard(one)
    return answers
