"""What the executor tells, and what its workers answer on `/internal`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from libs.common.contracts.accounts import SealedConnection
from libs.common.contracts.event import Event

AUDIENCE: Final = "executor"
"""Audience of the service tokens that executors take."""

MODELS_UNAVAILABLE: Final = "models_unavailable"
NO_PROVIDER_CONNECTION: Final = "no_provider_connection"
PROJECT_NOT_FOUND: Final = "project_not_found"

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
    """Requests that ended, each told once per database commit; the relay joins what it can."""

    requests: tuple[FinishedRequest, ...]


class _Joined(msgspec.Struct, frozen=True, tag_field="type", tag="requests.finished"):
    """RequestsFinished with its requests unread."""

    requests: list[msgspec.Raw]


def join_finished(events: Sequence[bytes]) -> bytes:
    """One RequestsFinished that tells what all of these tell. Raises msgspec.DecodeError."""
    read = [msgspec.json.decode(event, type=_Joined) for event in events]
    told = _Joined([request for event in read for request in event.requests])
    return msgspec.json.encode(told)


class ModelsAnswer(msgspec.Struct, frozen=True):
    """The provider's models: the `data` of its list, a JSON array, byte for byte.

    `{"object": "list", "data": <models>}` is OpenAI's own shape again.
    """

    models: msgspec.Raw


def models_path(project_id: str) -> str:
    """`GET` here with `?mode=live` or `?mode=test` answers ModelsAnswer, for gateways.

    404 with code PROJECT_NOT_FOUND or NO_PROVIDER_CONNECTION; 503 with MODELS_UNAVAILABLE where the
    provider gives no list, or with another code where accounts does not answer.
    """
    return f"/internal/projects/{project_id}/models"


TEST_CONNECTION_PATH: Final = "/internal/provider-connections/test"
"""`POST` TestConnectionQuestion here, as accounts; answers TestConnectionAnswer whatever came."""

ConnectionTestCode = Literal[
    "good",
    "key_unreadable",
    "bad_address",
    "refused_address",
    "name_not_found",
    "connection_refused",
    "tls_failed",
    "timed_out",
    "connection_cut",
    "answer_too_large",
    "wrong_key",
    "not_compatible",
    "rate_limited",
    "quota_exhausted",
    "provider_failed",
]


class TestConnectionQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A project's connection as accounts holds it: its key opens only in an executor."""

    __test__ = False  # it is no test of ours, whatever pytest makes of its name

    project_id: str
    connection: SealedConnection


class TestConnectionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking the provider for its models, in a word and in a sentence for people.

    Neither quotes the provider, the key or the address. `models`: how many there are, where it
    answered with a list. `took`: seconds.
    """

    __test__ = False

    is_good: bool
    code: ConnectionTestCode
    message: str
    models: int | None
    took: float
