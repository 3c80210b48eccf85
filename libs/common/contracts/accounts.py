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
    """Somebody has an account; billing opens its books.

    `plan`: what it starts on, and falls back to where nothing is bought (a `PlanName`).
    """

    account_id: str
    plan: str = "operator"


class AccountDeletionStarted(Event, frozen=True, kw_only=True, tag="account.deletion_started"):
    """In seven days it will be deleted, unless that is undone; until then its projects stand still.

    `project_ids`: of all that are not erased already.
    """

    account_id: str
    project_ids: tuple[str, ...]


class AccountDeleted(Event, frozen=True, kw_only=True, tag="account.deleted"):
    """Nobody's any more: whoever holds anything of it lets go of that.

    `project_ids`: all that it ever had.
    """

    account_id: str
    project_ids: tuple[str, ...]


class ProjectPaused(Event, frozen=True, kw_only=True, tag="project.paused"):
    """No new attempt of this project starts until it is resumed; nothing of it expires."""

    project_id: str


class ProjectResumed(Event, frozen=True, kw_only=True, tag="project.resumed"):
    """It goes on."""

    project_id: str


class ProjectDeleted(Event, frozen=True, kw_only=True, tag="project.deleted"):
    """Its data key is destroyed, its API keys are revoked; what is open is to be cancelled."""

    project_id: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan and a project's own settings allow."""

    requests_per_minute: int
    pending: int
    requests_per_month: int
    running: int
    body_bytes: int


class KeyContext(msgspec.Struct, frozen=True, kw_only=True):
    """All the gateway needs to know about the holder of an API key.

    `digest`: hex, under the newest pepper that was asked with. `connection_id`: the project's
    provider connection; None until it has one (a test key needs none). `on_unknown_outcome`: what
    follows a call whose outcome nobody knows. `retention_seconds`: how long bodies are kept,
    `metadata_retention_seconds`: what happened to requests. Sealed values open only in the data
    plane. `allowed_addresses`: networks (CIDR) that calls may come from; none means all.
    `anchor_day`: see libs/common/periods.py, of the monthly limit.
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
    sealed_data_key: bytes
    connection_id: str | None
    on_unknown_outcome: OnUnknownOutcome
    retention_seconds: int
    limits: Limits
    allowed_addresses: tuple[str, ...] = ()
    metadata_retention_seconds: int = 30 * 86_400
    anchor_day: int = 1


class KeyDigests(msgspec.Struct, frozen=True):
    """One API key's digests in hex: under the newest pepper, and under older ones.

    A key found by an older digest is stored under the newest from then on.
    """

    digest: str
    older: tuple[str, ...] = ()


class ResolveKeysQuestion(msgspec.Struct, frozen=True):
    """At most MAX_DIGESTS keys."""

    keys: tuple[KeyDigests, ...]


class ResolveKeysAnswer(msgspec.Struct, frozen=True):
    """Contexts of the keys that are good now; a digest that is not here is unknown or revoked."""

    contexts: tuple[KeyContext, ...]


class SealedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project's live requests go. `sealed_key` opens only in an executor."""

    connection_id: str
    base_url: str
    sealed_key: bytes


class ProviderConnectionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an executor needs of a project. `connection`: None until it has one.

    `sealed_data_key` opens in the data plane: gateways and executors.
    """

    project_id: str
    sealed_data_key: bytes
    connection: SealedConnection | None


class ProjectStandingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How a project stands now: an event about it may come late, twice, or after a later one.

    `is_paused`: by itself, or with its account, which is restricted or about to be deleted.
    `is_account_deleted`: nothing is to be kept of it.
    """

    project_id: str
    is_paused: bool
    is_deleted: bool
    is_account_deleted: bool = False


def project_standing_path(project_id: str) -> str:
    """`GET` here answers ProjectStandingAnswer, or 404 where there never was such a project."""
    return f"/internal/projects/{project_id}/standing"


def provider_connection_path(project_id: str) -> str:
    """`GET` here answers ProviderConnectionAnswer, or 404 where there is no such project."""
    return f"/internal/projects/{project_id}/provider-connection"


def provider_key_context(connection_id: str, project_id: str) -> str:
    """The HPKE `info` of a sealed provider key: table, column, row, project (decision 0005)."""
    return f"provider_connections/sealed_key/{connection_id}/{project_id}"


def signing_secret_context(key_id: str, project_id: str) -> str:
    """The HPKE `info` of a sealed signing secret."""
    return f"api_keys/sealed_signing_secret/{key_id}/{project_id}"


def data_key_context(project_id: str) -> str:
    """The HPKE `info` of a sealed data key."""
    return f"data_keys/sealed_key/{project_id}/{project_id}"
