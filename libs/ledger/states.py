"""The states of a request and the legal moves between them, as one table.

These are the public API's words. `processing` -> `queued` is a claim that was given back before any
attempt; final states never change.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a request stands."""

    QUEUED = "queued"
    PROCESSING = "processing"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """How an attempt ended. `lost`: certainly not sent; `ambiguous`: sent, and nobody knows."""

    COMPLETED = "completed"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    LOST = "lost"
    AMBIGUOUS = "ambiguous"
    CANCELLED = "cancelled"


FINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
UNLEASED: Final = frozenset({State.QUEUED, State.RETRYING})

NEXT: Final[dict[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.PROCESSING, State.FAILED, State.CANCELLED}),
    State.PROCESSING: frozenset({State.QUEUED, State.RETRYING, *FINAL}),
    # A late answer of the attempt that was given up for lost may still complete the request.
    State.RETRYING: frozenset({State.PROCESSING, State.RETRYING, *FINAL}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def can_move(old: State, new: State) -> bool:
    """Tell whether a request may go from `old` to `new`."""
    return new in NEXT[old]
