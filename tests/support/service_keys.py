"""Service tokens for tests: any service, any audience, any time."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from libs.common.clock import Clock
from libs.common.settings import Secret
from libs.common.tokens import PublicServiceKey, ServiceTokens


class ServiceKey:
    """The key pair of one service; its key id is `<issuer>-1`."""

    def __init__(self, issuer: str) -> None:
        """A fresh pair."""
        self.issuer, self.key_id = issuer, f"{issuer}-1"
        key = Ed25519PrivateKey.generate()
        self._private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._public = key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def private(self) -> Secret:
        """What the service itself is told."""
        return Secret(self._private.decode())

    @property
    def public(self) -> PublicServiceKey:
        """What a verifier is told."""
        return PublicServiceKey(issuer=self.issuer, pem=self._public.decode())

    def headers(self, audience: str, clock: Clock) -> dict[str, str]:
        """Of a question to `audience`, asked now."""
        tokens = ServiceTokens(self.issuer, self.key_id, self._private.decode(), clock)
        return {"authorization": f"Bearer {tokens.issue(audience)}"}
