"""Hints as messages: the id and nothing else, in the queue that their turn says."""

from collections.abc import Sequence

from libs.common.broker.protocol import Message
from libs.common.broker.topology import WORK, WORK_FIRST, WORK_REST
from libs.ledger.accept import Hint


def to_messages(hints: Sequence[Hint]) -> list[Message]:
    """One message a hint."""
    return [
        Message(WORK, WORK_FIRST if hint.is_first else WORK_REST, hint.request_id.encode())
        for hint in hints
    ]
