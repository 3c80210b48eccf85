"""The local stack's secrets: made once, kept in one file that only its owner can read."""

import base64
import secrets
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from deploy.local import places
from libs.common.crypto import SealingKey
from libs.common.tokens import PublicServiceKey

SERVICES = ("gateway", "executor", "accounts", "billing")
_PASSWORD_BYTES = 18
_PEPPER_BYTES = 32


class ServiceKey(msgspec.Struct, frozen=True):
    """What one service signs its service tokens with; both halves are PEM."""

    key_id: str
    private: str
    public: str


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Everything secret here.

    `servers`, `owners` and `services` are passwords: of the servers' administrators, of the roles
    that own a database, of each service on database and broker. `pepper` is base64.
    """

    servers: dict[str, str]
    owners: dict[str, str]
    services: dict[str, str]
    service_keys: dict[str, ServiceKey]
    pepper: str
    executor_sealing: str
    data_plane_sealing: str

    @property
    def service_public_keys(self) -> dict[str, PublicServiceKey]:
        """Who may sign service tokens, by key id."""
        return {
            key.key_id: PublicServiceKey(issuer=service, pem=key.public)
            for service, key in self.service_keys.items()
        }


def load_or_make(path: Path) -> Keys:
    """The keys in this file; the first time they are made."""
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Keys)
    keys = _make()
    places.write_private(path, msgspec.json.encode(keys).decode())
    return keys


def _make() -> Keys:
    return Keys(
        servers=_passwords("postgresql", "rabbitmq", "redis"),
        owners=_passwords("requests", "accounts", "billing"),
        services=_passwords(*SERVICES),
        service_keys={service: _service_key(service) for service in SERVICES},
        pepper=base64.b64encode(secrets.token_bytes(_PEPPER_BYTES)).decode(),
        executor_sealing=SealingKey.generate().to_text(),
        data_plane_sealing=SealingKey.generate().to_text(),
    )


def _passwords(*names: str) -> dict[str, str]:
    return {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in names}


def _service_key(service: str) -> ServiceKey:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key_id = f"{service}-{secrets.token_hex(4)}"
    return ServiceKey(key_id=key_id, private=private.decode(), public=public.decode())
