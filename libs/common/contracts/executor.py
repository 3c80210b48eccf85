"""What the executor tells."""

from datetime import datetime
from typing import Literal

import msgspec

from libs.common.contracts.event import Event

FinalState = Literal["completed", "failed", "cancelled"]


class TokenUsage(msgspec.Struct, frozen=True):
    """Tokens as the provider reported them; 0 where it reported none."""

    prompt: int = 0
    completion: int = 0
    total: int = 0


class FinishedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request that reached its final state. No content, ever."""

    id: str
    account_id: str
    project_id: str
    mode: Literal["live", "test"]
    endpoint: str
    model: str
    state: FinalState
    attempts: int
    created_at: datetime
    finished_at: datetime
    tokens: TokenUsage = TokenUsage()


class RequestsFinished(Event, frozen=True, kw_only=True, tag="requests.finished"):
    """The requests of one finish batch, at most 500, each told once per database commit."""

    requests: tuple[FinishedRequest, ...]
