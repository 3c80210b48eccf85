"""What the gateway takes from the environment, as REQRUN_<FIELD>."""

from base64 import b64decode
from datetime import timedelta
from typing import Final, Literal

import msgspec

from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.settings import Secret, SettingsError
from libs.common.telemetry import Ratio
from libs.common.tokens import PublicServiceKey
from services.gateway.use_cases.callers import Secrets

PEPPER_BYTES: Final = 32


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For `web`.

    `accounts_url`, `executor_url`: their internal ports. `api_key_pepper`: base64 of at least 32
    random bytes, the same as accounts has; `api_key_older_peppers`: those it replaced, comma-
    separated, while keys are still stored under them. `data_plane_keys`: base64 of our X25519
    private keys, comma-separated. `service_key`: PEM of our Ed25519 private key.
    `service_public_keys`: who may ask us, by key id.
    `trusted_proxies`: networks whose `X-Forwarded-For` is believed. `wait`: how long a caller who
    does not say is kept waiting; `drop_in_wait`: one with a drop-in key. `max_waiting`: callers
    kept waiting at once; one more gets the asynchronous answer at once. `failures_a_minute`:
    failed authentications of one client address before nobody new is looked up for it.
    `max_connections`: one more is refused with 503; below the process's limit of open files.
    `head_timeout`: for the head of a call to arrive. `dashboard_url`: where people see the
    dashboard; whoever is refused for the plan's monthly limit is shown the way there.
    """

    ledger_url: Secret
    broker_url: Secret
    redis_url: Secret
    accounts_url: str
    executor_url: str
    api_key_pepper: Secret
    data_plane_keys: Secret
    service_key: Secret
    service_key_id: str
    service_public_keys: dict[str, PublicServiceKey]
    api_key_older_peppers: Secret = Secret("")
    trusted_proxies: tuple[str, ...] = ()
    env: Literal["local", "production"] = "production"
    log_level: str = "info"
    traces_url: str = ""
    traces_ratio: Ratio = 0.1
    host: str = "127.0.0.1"
    port: int = 8080
    internal_port: int = 8081
    ledger_connections: int = 6
    max_body_bytes: int = 2 * 1024 * 1024
    body_timeout: timedelta = timedelta(seconds=10)
    wait: timedelta = timedelta(seconds=25)
    drop_in_wait: timedelta = timedelta(seconds=540)
    max_waiting: int = 20_000
    failures_a_minute: int = 30
    max_connections: int = 25_000
    head_timeout: timedelta = timedelta(seconds=10)
    dashboard_url: str = ""


class MigrationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `migrate`: the role that owns the tables of database `requests`."""

    migration_url: Secret


def secrets_of(settings: Settings) -> Secrets:
    """The peppers, newest first, and the private keys. Raises SettingsError."""
    older = settings.api_key_older_peppers.reveal()
    texts = [settings.api_key_pepper.reveal(), *(older.split(",") if older else ())]
    try:
        keys = [SealingKey.from_text(text) for text in settings.data_plane_keys.reveal().split(",")]
    except ValueError:
        raise SettingsError("REQRUN_DATA_PLANE_KEYS are not X25519 private keys") from None
    return Secrets([_pepper(text) for text in texts], SealingKeyring(keys))


def upgrade_url(settings: Settings) -> str | None:
    """The dashboard's page of plans; None where we do not know the dashboard."""
    address = settings.dashboard_url.rstrip("/")
    return f"{address}/billing" if address else None


def _pepper(text: str) -> bytes:
    try:
        pepper = b64decode(text, validate=True)
    except ValueError:
        pepper = b""
    if len(pepper) < PEPPER_BYTES:
        raise SettingsError(f"REQRUN_API_KEY_PEPPER is not base64 of {PEPPER_BYTES} bytes or more")
    return pepper
