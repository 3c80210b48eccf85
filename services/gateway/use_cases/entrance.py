"""The entrance: who calls, whether they signed, and whether they may call so often.

In this order (docs/api.md): address, key, timestamp, the signature over the bytes as they came,
rate. A call that fails on the way costs no database work and spends nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from libs.common.addresses import is_within
from libs.ledger.nonces import Nonce
from services.gateway.domain import signatures
from services.gateway.domain.errors import (
    AddressNotAllowed,
    AddressRateLimited,
    BodyTooLarge,
    InvalidApiKey,
    InvalidSignature,
    MissingSignature,
    NonceReused,
    RateLimited,
    StaleTimestamp,
)
from services.gateway.domain.rates import RateAsk, RateGrant
from services.gateway.domain.signatures import Signature
from services.gateway.ports import Ports
from services.gateway.use_cases.addresses import Addresses
from services.gateway.use_cases.callers import Caller, Callers

Kind = Literal["submit", "read"]

_FAILED = (InvalidApiKey, MissingSignature, InvalidSignature, StaleTimestamp)


class Signed(msgspec.Struct, frozen=True):
    """The three headers of a signed call, as they came; None where one is not there."""

    timestamp: str | None
    nonce: str | None
    signature: str | None


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """A call before we know whose it is. `path`: as received. `read_body`: once, after the key.

    `address`: of the client, as far as proxies that we trust say it.
    """

    kind: Kind
    method: str
    path: bytes
    key: str
    address: str
    signed: Signed
    read_body: Callable[[], Awaitable[bytes]]


class Guest(msgspec.Struct, frozen=True):
    """A call that may go on. `nonce`: to be spent with what it does; None for unsigned keys."""

    caller: Caller
    body: bytes
    nonce: str | None


class Entrance:
    """Lets calls in."""

    def __init__(self, ports: Ports, callers: Callers, addresses: Addresses) -> None:
        self._ports, self._callers, self._addresses = ports, callers, addresses

    async def admit(self, knock: Knock, tell: Callable[[RateGrant], None]) -> Guest:
        """`tell`: hears what the answer's rate headers say, before a refusal for the rate.

        Raises AddressRateLimited, InvalidApiKey, ProjectSuspended, AddressNotAllowed,
        MissingSignature, InvalidSignature, StaleTimestamp, BodyTooLarge, RateLimited, Unavailable.
        """
        barred = self._addresses.is_barred(knock.address)
        if barred is not None and not self._callers.knows(knock.key):
            raise AddressRateLimited(barred)
        try:
            caller = await self._callers.identify(knock.key)
            _check_address(caller.context.allowed_addresses, knock.address)
            signature = self._read_signature(caller, knock.signed)
            body = await _read_body(caller, knock)
            if signature is not None:
                signatures.verify(signature, _secret(caller), knock.method, knock.path, body)
        except _FAILED:
            self._addresses.note_failure(knock.address)
            raise
        grant = await self._ports.rates.take(rate_ask(caller, knock.kind))
        tell(grant)
        if not grant.is_granted:
            raise RateLimited(grant.retry_after)
        return Guest(caller, body, None if signature is None else signature.nonce)

    async def spend(self, guest: Guest) -> None:
        """Spend the nonce of a call that changes nothing. Raises NonceReused, Unavailable."""
        if guest.nonce is None:
            return
        nonce = Nonce(guest.caller.context.key_id, guest.nonce)
        if not await self._ports.ledger.spend(nonce):
            raise NonceReused

    def _read_signature(self, caller: Caller, signed: Signed) -> Signature | None:
        if not caller.context.needs_signature:
            return None
        signature = signatures.read(signed.timestamp, signed.nonce, signed.signature)
        signatures.check_time(signature, self._ports.clock.now())
        return signature


def _secret(caller: Caller) -> bytes:
    """Fails closed: a key that must sign and has no secret opens nothing."""
    if caller.signing_secret is None:
        raise MissingSignature
    return caller.signing_secret


async def _read_body(caller: Caller, knock: Knock) -> bytes:
    if knock.method == "GET":
        return b""  # a GET signs the hash of the empty string, and we read nothing from it
    body = await knock.read_body()
    if len(body) > caller.context.limits.body_bytes:
        raise BodyTooLarge(caller.context.limits.body_bytes)
    return body


def rate_ask(caller: Caller, kind: Kind) -> RateAsk:
    """What a call of this kind takes from whose rates."""
    context, limit = caller.context, caller.context.limits.requests_per_minute
    return RateAsk(
        key_id=context.key_id,
        project_id=context.project_id,
        mode=context.mode,
        kind=kind,
        per_minute_key=limit,
        per_minute_project=limit,
    )


def _check_address(allowed: tuple[str, ...], address: str) -> None:
    if allowed and not is_within(address, allowed):
        raise AddressNotAllowed
