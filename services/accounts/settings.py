"""What accounts takes from the environment, as REQRUN_<FIELD>."""

import hashlib
import hmac
from base64 import b64decode
from typing import Final, Literal

import msgspec

from libs.common.contracts.plans import PlanName
from libs.common.crypto import PublicSealingKey
from libs.common.settings import Secret, SettingsError
from libs.common.telemetry import Ratio
from libs.common.tokens import PublicServiceKey
from services.accounts.domain.contacts import Contacts

PEPPER_BYTES: Final = 32


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For every role of the service.

    `dashboard_url`: where people see the dashboard, for links in mails. `api_url`: where customers
    call the API. `gateway_url`, `executor_url`, `billing_url`: their internal ports. `service_key`:
    PEM of our Ed25519 private key. `smtp_url`: the relay, `smtp://user:secret@host:587`.
    `smtp_ca_file`: who may vouch for it. `mail_from`: whom mails come from. `new_plan`: of who
    signs up. `terms_version`: what they accept. `trusted_proxies`: networks whose
    `X-Forwarded-For` is believed. `contacts`: JSON, what the public pages say of who runs this.

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
    service_key: Secret
    service_key_id: str
    gateway_url: str
    executor_url: str
    billing_url: str
    smtp_url: Secret
    mail_from: str
    dashboard_url: str
    api_url: str
    contacts: Contacts
    api_key_pepper_id: int = 1
    env: Literal["local", "production"] = "production"
    log_level: str = "info"
    traces_url: str = ""
    traces_ratio: Ratio = 0.1
    host: str = "127.0.0.1"
    port: int = 8080
    internal_port: int = 8081
    smtp_ca_file: str = ""
    new_plan: PlanName = PlanName.OPERATOR
    terms_version: str = "2026-11-01"
    trusted_proxies: tuple[str, ...] = ()
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

    def form_key(self) -> bytes:
        """Proves that a form came from one of our pages; the same in every process."""
        return hmac.new(self.pepper(), b"forms", hashlib.sha256).digest()

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
