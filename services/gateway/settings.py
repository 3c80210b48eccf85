"""What the gateway takes from the environment, as REQRUN_<FIELD>."""

from base64 import b64decode
from datetime import timedelta
from typing import Final, Literal

import msgspec

from libs.common.settings import Secret, SettingsError

PEPPER_BYTES: Final = 32


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For `web`.

    `accounts_url`: its internal port. `api_key_pepper`: base64 of at least 32 random bytes, the
    same as accounts has. `service_key`: PEM of our Ed25519 private key. `wait`: how long a caller
    who does not say is kept waiting. `max_waiting`: callers kept waiting at once; one more gets the
    asynchronous answer at once.
    """

    ledger_url: Secret
    broker_url: Secret
    redis_url: Secret
    accounts_url: str
    api_key_pepper: Secret
    service_key: Secret
    service_key_id: str
    env: Literal["local", "production"] = "production"
    log_level: str = "info"
    host: str = "127.0.0.1"
    port: int = 8080
    internal_port: int = 8081
    ledger_connections: int = 6
    max_body_bytes: int = 2 * 1024 * 1024
    body_timeout: timedelta = timedelta(seconds=10)
    wait: timedelta = timedelta(seconds=25)
    max_waiting: int = 20_000


class MigrationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `migrate`: the role that owns the tables of database `requests`."""

    migration_url: Secret


def pepper_of(settings: Settings) -> bytes:
    """The pepper's bytes. Raises SettingsError."""
    try:
        pepper = b64decode(settings.api_key_pepper.reveal(), validate=True)
    except ValueError:
        pepper = b""
    if len(pepper) < PEPPER_BYTES:
        raise SettingsError(f"REQRUN_API_KEY_PEPPER is not base64 of {PEPPER_BYTES} bytes or more")
    return pepper
