"""Connections to providers, kept for reuse: last used first, so that a lull lets the rest expire.

Everything takes constant time, however many are kept. There is no limit on connections under way:
the executor's places are one.
"""

import asyncio
import ssl
import time
from collections import OrderedDict, defaultdict
from datetime import timedelta
from typing import Final, NamedTuple

from services.executor.adapters.provider.connections import Connection, connect
from services.executor.adapters.provider.resolver import Resolver
from services.executor.adapters.provider.targets import CallRefused, Origin, Target
from services.executor.domain.calls import FailureKind

MAX_IDLE: Final = 512


class _Kept(NamedTuple):
    """`expires_at`: on the monotonic clock, in seconds."""

    origin: Origin
    expires_at: float


class Pool:
    """HTTP/1.1 connections by origin."""

    def __init__(
        self,
        resolver: Resolver,
        tls: ssl.SSLContext,
        *,
        connect_timeout: timedelta,
        keepalive_expiry: timedelta,
    ) -> None:
        """`keepalive_expiry` must be shorter than a provider's own: uvicorn's default is 5 s.

        A call sent into a connection that is just being closed counts as perhaps paid.
        """
        self._resolver = resolver
        self._tls = tls
        self._connect_timeout = connect_timeout.total_seconds()
        self._keepalive_expiry = keepalive_expiry.total_seconds()
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._by_age: OrderedDict[Connection, _Kept] = OrderedDict()

    async def take(self, target: Target) -> Connection:
        """An idle connection or a new one. Raises CallRefused: nothing was sent."""
        now = time.monotonic()
        idle = self._idle.get(target.origin, [])
        while idle:
            connection = idle.pop()
            if not idle:
                del self._idle[target.origin]
            kept = self._by_age.pop(connection)
            if connection.is_idle and now < kept.expires_at:
                return connection
            connection.close()
        return await self._open(target)

    def put_back(self, origin: Origin, connection: Connection) -> None:
        """Keep `connection` if it can carry another call; else close it."""
        if not connection.is_idle:
            connection.close()
            return
        now = time.monotonic()
        self._idle[origin].append(connection)
        self._by_age[connection] = _Kept(origin, now + self._keepalive_expiry)
        self._drop_old(now)

    def close(self) -> None:
        """Close what is idle; what is under way closes when it is put back."""
        for connection in self._by_age:
            connection.close()
        self._by_age.clear()
        self._idle.clear()

    def _drop_old(self, now: float) -> None:
        while self._by_age:
            oldest, (origin, expires_at) = next(iter(self._by_age.items()))
            if len(self._by_age) <= MAX_IDLE and now < expires_at:
                return
            del self._by_age[oldest]
            self._idle[origin].remove(oldest)
            if not self._idle[origin]:
                del self._idle[origin]
            oldest.close()

    async def _open(self, target: Target) -> Connection:
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await self._connect(target)
        except TimeoutError:
            raise CallRefused(FailureKind.CONNECT_TIMEOUT) from None

    async def _connect(self, target: Target) -> Connection:
        """Try the addresses in order; a certificate that is wrong at one ends it."""
        origin = target.origin
        addresses = await self._resolver.resolve(origin.host, is_open=target.is_open)
        tls = self._tls if origin.scheme == "https" else None
        for address in addresses:
            try:
                # An equal share for each, so that one dead address does not use up all the time.
                async with asyncio.timeout(self._connect_timeout / len(addresses)):
                    return await connect(address, origin.port, tls, origin.host)
            except ssl.SSLError:
                raise CallRefused(FailureKind.TLS) from None
            except ValueError:
                # A name that the resolver takes and TLS does not, such as one over-long label.
                raise CallRefused(FailureKind.BAD_URL) from None
            except OSError as error:
                last: OSError = error
        kind = (
            FailureKind.CONNECT_TIMEOUT if isinstance(last, TimeoutError) else FailureKind.REFUSED
        )
        raise CallRefused(kind)
