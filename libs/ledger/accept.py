"""Accept: store new requests, all callers of an instant in one transaction.

The fast path takes for granted that nonces and keys are new and limits have room; where that turns
out wrong nothing was stored, and the exact path gives each item its verdict in order of arrival.
One item alone has a fast path of its own (decision 0032).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import asyncpg
import msgspec

from libs.common.crash_points import crash_point
from libs.ledger.connection import Connection

FIRST_SLOTS: Final = 8
"""A project's first slots: their hints go before everybody's rest."""

METADATA_RETENTION: Final = timedelta(days=30)
"""Where nobody says otherwise."""

_STATEMENT: Final = """
SELECT request_id, verdict, slot_rank, accepted_at, existing_id
FROM accept_v4($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
    $20, $21, $22, $23, $24, p_is_exact => {})
"""
_ALONE: Final = """
SELECT slot_rank, accepted_at
FROM accept_one_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
    $19, $20, $21, $22, $23, $24)
"""
_FAST: Final = _STATEMENT.format("false")
_EXACT: Final = _STATEMENT.format("true")
_SURPRISE: Final = "RQ001"
_UNIQUE_VIOLATION: Final = "23505"


class Idempotency(msgspec.Struct, frozen=True):
    """The caller's key for this request, and the keyed fingerprint of what it asks for."""

    key: str
    fingerprint: bytes


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One request to be accepted; every value is already checked and bounded.

    `body`: what the provider will get, sealed under the project's data key and `body_key`.
    `connection_id`: where it will go. `running_limit`: how many slots the plan gives the project.
    `pending_limit`: open requests of the account in this mode; `monthly_limit`: accepted live ones
    a period, which begins on `anchor_day` (libs/common/periods.py). `metadata_retention`: how long
    records of the project's requests, this one and all before it, are kept once their bodies are
    gone. `nonce`: of a signed call; spent with the request, or by its refusal.
    `retried_from`: the failed request that this one repeats; it takes over that one's key.
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
    body_key: bytes
    deadline: timedelta
    max_attempts: int
    call_timeout: timedelta
    fails_on_unknown: bool
    retention: timedelta
    running_limit: int
    pending_limit: int
    monthly_limit: int
    anchor_day: int = 1
    metadata_retention: timedelta = METADATA_RETENTION
    nonce: str | None = None
    idempotency: Idempotency | None = None
    retried_from: str | None = None

    def weigh(self) -> int:
        """Bytes of what may be large."""
        return len(self.body)


class Hint(msgspec.Struct, frozen=True):
    """A request that holds a slot and should be claimed now. `is_first`: before others' rest."""

    request_id: str
    is_first: bool


class Accepted(msgspec.Struct, frozen=True):
    """The request is committed. `hint` is None where it has to wait for a slot."""

    request_id: str
    accepted_at: datetime
    hint: Hint | None


class Refusal(StrEnum):
    """Why nothing was stored."""

    NONCE_REUSED = "nonce_reused"
    CONFLICT = "conflict"
    PENDING_LIMIT = "pending_limit"
    MONTHLY_LIMIT = "monthly_limit"


class Known(msgspec.Struct, frozen=True):
    """The key, or the request to be retried, leads to this request already."""

    request_id: str


class Refused(msgspec.Struct, frozen=True):
    """Nothing was stored. `request_id`: with a conflict, whose key it is."""

    why: Refusal
    request_id: str | None = None


Verdict = Accepted | Known | Refused

_KNOWN: Final = "known"


async def accept(connection: Connection, items: Sequence[Submission]) -> list[Verdict]:
    """Store all `items` that may be stored; returns after COMMIT."""
    crash_point("accept.before_commit")
    try:
        verdicts = await _accept_fast(connection, items)
    except asyncpg.PostgresError as surprise:
        # A unique index: another retry of the same request was committed just before.
        if surprise.sqlstate not in (_SURPRISE, _UNIQUE_VIOLATION):
            raise
        verdicts = await _accept_all(connection, _EXACT, items)
    crash_point("accept.after_commit")
    return verdicts


async def _accept_fast(connection: Connection, items: Sequence[Submission]) -> list[Verdict]:
    if len(items) > 1:
        return await _accept_all(connection, _FAST, items)
    [item] = items
    row = await connection.fetchrow(_ALONE, *_values(item))
    assert row is not None  # noqa: S101  # a function that returns one row
    return [Accepted(item.id, row["accepted_at"], hint(item.id, row["slot_rank"]))]


async def _accept_all(
    connection: Connection, statement: str, items: Sequence[Submission]
) -> list[Verdict]:
    rows = await connection.fetch(statement, *_columns(items))
    verdicts = {row["request_id"]: _verdict(row) for row in rows}
    return [verdicts[item.id] for item in items]


def _verdict(row: asyncpg.Record) -> Verdict:
    verdict = row["verdict"]
    if verdict is None:
        request_id = row["request_id"]
        return Accepted(request_id, row["accepted_at"], hint(request_id, row["slot_rank"]))
    if verdict == _KNOWN:
        return Known(row["existing_id"])
    return Refused(Refusal(verdict), row["existing_id"] if verdict == Refusal.CONFLICT else None)


def _columns(items: Sequence[Submission]) -> list[list[object]]:
    return [list(column) for column in zip(*map(_values, items), strict=True)]


def _values(item: Submission) -> tuple[object, ...]:
    """In the order of the parameters of all the functions for accept."""
    idempotency = item.idempotency
    return (
        item.id,
        item.account_id,
        item.project_id,
        item.key_id,
        item.mode,
        item.endpoint,
        item.model,
        item.connection_id,
        item.body,
        item.body_key,
        int(item.deadline.total_seconds()),
        item.max_attempts,
        int(item.call_timeout.total_seconds()),
        item.fails_on_unknown,
        int(item.retention.total_seconds()),
        item.running_limit,
        item.nonce,
        idempotency and idempotency.key,
        idempotency and idempotency.fingerprint,
        item.retried_from,
        item.pending_limit,
        item.monthly_limit,
        int(item.metadata_retention.total_seconds()),
        item.anchor_day,
    )


def hint(request_id: str, slot_rank: int | None) -> Hint | None:
    """`slot_rank`: the how-manieth slot of its project it got, from 1; None for no slot."""
    return None if slot_rank is None else Hint(request_id, slot_rank <= FIRST_SLOTS)
