"""What accounts tells, and what it answers on `/internal`."""

from typing import Literal

import msgspec

from libs.common.contracts.event import Event

AUDIENCE = "accounts"
"""Audience of the service tokens that accounts takes."""

RESOLVE_KEYS_PATH = "/internal/api-keys/resolve"
MAX_DIGESTS = 256

OnUnknownOutcome = Literal["retry", "fail"]


class AccountCreated(Event, frozen=True, kw_only=True, tag="account.created"):
    """Somebody has an account; billing opens its books."""

    account_id: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan and a project's own settings allow."""

    requests_per_minute: int
    pending: int
    requests_per_month: int
    running: int
    body_bytes: int


class KeyContext(msgspec.Struct, frozen=True, kw_only=True):
    """All the gateway needs to know about the holder of an API key.

    `digest`: hex. `connection_id`: the project's provider connection; None until it has one (a test
    key needs none). `on_unknown_outcome`: what follows a call whose outcome nobody knows.
    `retention_seconds`: how long bodies are kept. Sealed values open only in the data plane.
    """

    digest: str
    key_id: str
    project_id: str
    account_id: str
    mode: Literal["live", "test"]
    is_suspended: bool
    is_drop_in: bool
    needs_signature: bool
    sealed_signing_secret: bytes | None
    sealed_data_key: bytes | None
    connection_id: str | None
    on_unknown_outcome: OnUnknownOutcome
    retention_seconds: int
    limits: Limits


class ResolveKeysQuestion(msgspec.Struct, frozen=True):
    """Digests in hex, at most MAX_DIGESTS."""

    digests: tuple[str, ...]


class ResolveKeysAnswer(msgspec.Struct, frozen=True):
    """Contexts of the keys that are good now; a digest that is not here is unknown or revoked."""

    contexts: tuple[KeyContext, ...]


class ProviderConnectionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project's live requests go. `sealed_key` opens only in an executor."""

    connection_id: str
    project_id: str
    base_url: str
    sealed_key: bytes


def provider_connection_path(project_id: str) -> str:
    """`GET` here answers ProviderConnectionAnswer, or 404 where the project has none."""
    return f"/internal/projects/{project_id}/provider-connection"


def provider_key_context(connection_id: str, project_id: str) -> str:
    """The HPKE `info` of a sealed provider key: table, column, row, project (decision 0005)."""
    return f"provider_connections/sealed_key/{connection_id}/{project_id}"
