"""What there is: peppers, sealing keys, service keys, as data. Making one of each."""

import base64
import secrets
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from libs.common.crypto import SealingKey
from libs.common.tokens import PublicServiceKey

SERVICES: Final = ("gateway", "executor", "accounts", "billing")
PEPPER_BYTES: Final = 32


class Pepper(msgspec.Struct, frozen=True):
    """What API keys are hashed under. `id` counts up; `secret` is base64."""

    id: int
    secret: str


class SealingPair(msgspec.Struct, frozen=True):
    """An X25519 key pair, both halves base64; `key_id` (hex) opens every blob it seals."""

    key_id: str
    private: str
    public: str


class ServicePair(msgspec.Struct, frozen=True):
    """What one service signs its service tokens with; both halves are PEM (Ed25519)."""

    key_id: str
    private: str
    public: str


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Of what there are several, the newest comes first."""

    peppers: tuple[Pepper, ...]
    executor: tuple[SealingPair, ...]
    data_plane: tuple[SealingPair, ...]
    services: dict[str, ServicePair]

    @property
    def older_peppers(self) -> str:
        """As the gateway's settings take them."""
        return ",".join(pepper.secret for pepper in self.peppers[1:])

    @property
    def service_public_keys(self) -> dict[str, PublicServiceKey]:
        """Who may sign service tokens, by key id."""
        return {
            key.key_id: PublicServiceKey(issuer=service, pem=key.public)
            for service, key in self.services.items()
        }


def privates(pairs: tuple[SealingPair, ...]) -> str:
    """The private halves as settings take them: comma separated, newest first."""
    return ",".join(pair.private for pair in pairs)


def new() -> Material:
    """One of everything."""
    return Material(
        peppers=(new_pepper(1),),
        executor=(new_sealing_pair(),),
        data_plane=(new_sealing_pair(),),
        services={service: new_service_pair(service) for service in SERVICES},
    )


def new_pepper(number: int) -> Pepper:
    """The pepper with this id."""
    return Pepper(number, base64.b64encode(secrets.token_bytes(PEPPER_BYTES)).decode())


def new_sealing_pair() -> SealingPair:
    """A fresh pair."""
    key = SealingKey.generate()
    return SealingPair(key.public.key_id.hex(), key.to_text(), key.public_text())


def new_service_pair(service: str) -> ServicePair:
    """A fresh pair, whose id names its service."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key_id = f"{service}-{secrets.token_hex(4)}"
    return ServicePair(key_id, private.decode(), public.decode())
