"""Accept: store new requests, all callers of an instant in one transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.ledger.connection import Connection

FIRST_SLOTS: Final = 8
"""A project's first slots: their hints go before everybody's rest."""

_STATEMENT: Final = """
SELECT request_id, slot_rank, accepted_at
FROM accept_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One request to be accepted; every value is already checked and bounded.

    `body`: what the provider will get, byte for byte. `connection_id`: where it will go.
    `running_limit`: how many slots the plan gives the project.
    """

    id: str
    account_id: str
    project_id: str
    key_id: str
    mode: str
    endpoint: str
    model: str
    connection_id: str
    body: bytes
    deadline: timedelta
    max_attempts: int
    call_timeout: timedelta
    fails_on_unknown: bool
    retention: timedelta
    running_limit: int


class Hint(msgspec.Struct, frozen=True):
    """A request that holds a slot and should be claimed now. `is_first`: before others' rest."""

    request_id: str
    is_first: bool


class Accepted(msgspec.Struct, frozen=True):
    """The request is committed. `hint` is None where it has to wait for a slot."""

    request_id: str
    accepted_at: datetime
    hint: Hint | None


async def accept(connection: Connection, items: Sequence[Submission]) -> list[Accepted]:
    """Store all `items`; returns after COMMIT."""
    rows = await connection.fetch(
        _STATEMENT,
        [item.id for item in items],
        [item.account_id for item in items],
        [item.project_id for item in items],
        [item.key_id for item in items],
        [item.mode for item in items],
        [item.endpoint for item in items],
        [item.model for item in items],
        [item.connection_id for item in items],
        [item.body for item in items],
        [int(item.deadline.total_seconds()) for item in items],
        [item.max_attempts for item in items],
        [int(item.call_timeout.total_seconds()) for item in items],
        [item.fails_on_unknown for item in items],
        [int(item.retention.total_seconds()) for item in items],
        [item.running_limit for item in items],
    )
    return [Accepted(row[0], row[2], hint(row[0], row[1])) for row in rows]


def hint(request_id: str, slot_rank: int | None) -> Hint | None:
    """`slot_rank`: the how-manieth slot of its project it got, from 1; None for no slot."""
    return None if slot_rank is None else Hint(request_id, slot_rank <= FIRST_SLOTS)
