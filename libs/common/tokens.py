"""Service tokens: the 60-second proof with which one service asks another.

EdDSA JWTs with one audience. The verifier pins the algorithm and takes keys from its settings, by
key id; nothing in the token says where to find a key (RFC 8725, 3.1 and 3.10).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import jwt
import msgspec

from libs.common.clock import Clock
from libs.common.errors import Unauthenticated

LIFETIME: Final = timedelta(seconds=60)
LEEWAY: Final = timedelta(seconds=10)  # between the clocks of two machines
_RENEW_BEFORE: Final = timedelta(seconds=20)
_ALGORITHM: Final = "EdDSA"


class PublicServiceKey(msgspec.Struct, frozen=True):
    """Whose tokens a key id may sign. `pem`: the Ed25519 public key."""

    issuer: str
    pem: str


class ServiceTokens:
    """Issues tokens for one service; keeps each until shortly before it ends."""

    def __init__(self, issuer: str, key_id: str, pem: str, clock: Clock) -> None:
        """`pem`: the issuer's Ed25519 private key."""
        self._issuer, self._key_id, self._pem, self._clock = issuer, key_id, pem, clock
        self._kept: dict[str, tuple[float, str]] = {}

    def issue(self, audience: str) -> str:
        """A token for `audience`, good for at least 20 more seconds."""
        now = self._clock.now().timestamp()
        expires_at, token = self._kept.get(audience, (0.0, ""))
        if expires_at - now < _RENEW_BEFORE.total_seconds():
            expires_at = now + LIFETIME.total_seconds()
            claims = {"iss": self._issuer, "aud": audience, "iat": int(now), "exp": int(expires_at)}
            token = jwt.encode(claims, self._pem, _ALGORITHM, headers={"kid": self._key_id})
            self._kept[audience] = (expires_at, token)
        return token


class TokenVerifier:
    """Checks tokens that were made for one audience."""

    def __init__(self, keys: Mapping[str, PublicServiceKey], audience: str, clock: Clock) -> None:
        """`keys`: by key id; several while a rotation goes on."""
        self._keys, self._audience, self._clock = keys, audience, clock

    def verify(self, token: str) -> str:
        """The issuer's name. Raises Unauthenticated, which never says why in detail."""
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key.pem,
                algorithms=[_ALGORITHM],
                audience=self._audience,
                issuer=key.issuer,
                # Times are checked below, by our clock.
                options={
                    "require": ["iss", "aud", "iat", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, KeyError) as refused:
            raise Unauthenticated("The service token is not valid.") from refused
        self._check_times(float(claims["iat"]), float(claims["exp"]))
        return key.issuer

    def _check_times(self, issued_at: float, expires_at: float) -> None:
        now, leeway = self._clock.now().timestamp(), LEEWAY.total_seconds()
        lives = expires_at - issued_at
        if not (issued_at - leeway <= now < expires_at + leeway) or not (
            0 < lives <= LIFETIME.total_seconds()
        ):
            raise Unauthenticated("The service token is not valid now.")
