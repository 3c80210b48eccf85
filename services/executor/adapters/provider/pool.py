"""Connections to providers, kept for reuse: last used first, so that a lull lets the rest expire.

httpcore2's own pool looks at every connection twice per call, with a system call for each idle one;
this one takes constant time. It sets no limit on connections under way: the executor's places do.
"""

import asyncio
import ssl
from collections import OrderedDict, defaultdict
from datetime import timedelta
from typing import Final

import httpcore2

from services.executor.adapters.provider.resolver import Resolver
from services.executor.adapters.provider.streams import Stream, connect
from services.executor.adapters.provider.targets import CallRefused, Origin, Target
from services.executor.domain.calls import FailureKind

MAX_IDLE: Final = 512

Connection = httpcore2.AsyncHTTP11Connection


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
        self._by_age: OrderedDict[Connection, Origin] = OrderedDict()

    async def take(self, target: Target) -> Connection:
        """An idle connection or a new one. Raises CallRefused: nothing was sent."""
        idle = self._idle.get(target.origin, [])
        while idle:
            connection = idle.pop()
            self._by_age.pop(connection)
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return await self._open(target)

    async def put_back(self, origin: Origin, connection: Connection) -> None:
        """Keep `connection` if its last answer was read to the end; else close it."""
        if not connection.is_idle() or _has_more(connection):
            await connection.aclose()
            return
        self._idle[origin].append(connection)
        self._by_age[connection] = origin
        await self._drop_old()

    async def close(self) -> None:
        """Close what is idle; what is under way closes when it is put back."""
        for connection in self._by_age:
            await connection.aclose()
        self._by_age.clear()
        self._idle.clear()

    async def _drop_old(self) -> None:
        while self._by_age:
            oldest, origin = next(iter(self._by_age.items()))
            if len(self._by_age) <= MAX_IDLE and not oldest.has_expired():
                return
            del self._by_age[oldest]
            self._idle[origin].remove(oldest)
            if not self._idle[origin]:
                del self._idle[origin]
            await oldest.aclose()

    async def _open(self, target: Target) -> Connection:
        try:
            async with asyncio.timeout(self._connect_timeout):
                stream = await self._connect(target)
        except TimeoutError:
            raise CallRefused(FailureKind.CONNECT_TIMEOUT) from None
        origin = target.origin
        return Connection(
            httpcore2.Origin(origin.scheme.encode(), origin.host.encode(), origin.port),
            stream,
            keepalive_expiry=self._keepalive_expiry,
        )

    async def _connect(self, target: Target) -> Stream:
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


def _has_more(connection: Connection) -> bool:
    """Whether the provider sent more than one answer.

    httpcore2 keeps such bytes, and would take them for the answer to the next request on the
    connection: another customer's, maybe. It has no public way to ask (seen in 2.16).
    """
    unread, _ = connection._h11_state.trailing_data  # noqa: SLF001 - see above
    return bool(unread)
