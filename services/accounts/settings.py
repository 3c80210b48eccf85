"""What accounts takes from the environment, as REQRUN_<FIELD>."""

from base64 import b64decode
from typing import Final, Literal

import msgspec

from libs.common.crypto import PublicSealingKey
from libs.common.settings import Secret, SettingsError
from libs.common.tokens import PublicServiceKey

PEPPER_BYTES: Final = 32


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For every role of the service.

    `api_key_pepper`: base64 of at least 32 random bytes, one of the gateway's. `api_key_pepper_id`:
    which pepper that is, so that it can be replaced. `executor_public_key`,
    `data_plane_public_key`: base64 of X25519 public keys. `service_public_keys`: who may ask us, by
    key id. `open_hosts`: provider hosts that may be plain HTTP.
    """

    database_url: Secret
    broker_url: Secret
    api_key_pepper: Secret
    executor_public_key: str
    data_plane_public_key: str
    service_public_keys: dict[str, PublicServiceKey]
    api_key_pepper_id: int = 1
    env: Literal["local", "production"] = "production"
    log_level: str = "info"
    host: str = "127.0.0.1"
    internal_port: int = 8081
    open_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Find a bad key at the start, where its variable is named. Raises SettingsError."""
        self.pepper()
        self.executor_key()
        self.data_plane_key()

    def pepper(self) -> bytes:
        """The pepper itself. Raises SettingsError."""
        try:
            pepper = b64decode(self.api_key_pepper.reveal(), validate=True)
        except ValueError:
            pepper = b""
        if len(pepper) < PEPPER_BYTES:
            raise SettingsError(f"REQRUN_API_KEY_PEPPER is not base64 of {PEPPER_BYTES} bytes")
        return pepper

    def executor_key(self) -> PublicSealingKey:
        """What provider keys are sealed with. Raises SettingsError."""
        return _public_key(self.executor_public_key, "REQRUN_EXECUTOR_PUBLIC_KEY")

    def data_plane_key(self) -> PublicSealingKey:
        """What signing secrets and data keys are sealed with. Raises SettingsError."""
        return _public_key(self.data_plane_public_key, "REQRUN_DATA_PLANE_PUBLIC_KEY")


class MigrationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `migrate`: the address of the database for the role that owns its tables."""

    migration_url: Secret


def _public_key(text: str, variable: str) -> PublicSealingKey:
    try:
        return PublicSealingKey.from_text(text)
    except ValueError:
        raise SettingsError(f"{variable} is not an X25519 key") from None
