"""One call to a provider. What it cost us to get wrong is in docs/request-lifecycle.md."""

import asyncio
import re
from contextlib import aclosing
from datetime import timedelta
from typing import Final, NamedTuple

import httpcore2
import httpx2
import msgspec

from libs.common.settings import Secret
from services.executor.adapters.provider.answers import read_answer
from services.executor.adapters.provider.pool import Connection, Pool
from services.executor.adapters.provider.resolver import Resolver
from services.executor.adapters.provider.targets import CallRefused, Target, target_of
from services.executor.domain.calls import Answer, CallFailure, FailureKind, ProviderConnection

_MAX_TARGETS: Final = 4096
_KEY: Final = re.compile(r"[!-~]{1,1024}")
"""Printable ASCII without spaces: what a bearer token may be (RFC 6750, 2.1, read generously)."""


_HEADERS: Final = (
    (b"User-Agent", b"ReqRun"),
    (b"Accept", b"application/json"),
    # Compressed answers save little here and are how a small answer becomes a huge one.
    (b"Accept-Encoding", b"identity"),
)


class ProviderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`open_hosts`: `host` or `host:port` that may be reached by plain http at any address.

    `ca_file`: PEM certificates to trust besides the system's.
    """

    open_hosts: tuple[str, ...] = ()
    connect_timeout: timedelta = timedelta(seconds=10)
    keepalive_expiry: timedelta = timedelta(seconds=4)
    max_answer_bytes: int = 16 * 1024 * 1024
    ca_file: str | None = None


class _Outgoing(NamedTuple):
    """What differs between calls. `headers`: besides those of every call."""

    method: bytes
    endpoint: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None
    max_bytes: int


class Provider:
    """Calls OpenAI-compatible endpoints. Nothing here logs, repeats, or follows a redirect."""

    def __init__(self, options: ProviderOptions, resolver: Resolver | None = None) -> None:
        """Raises OSError if `ca_file` cannot be read. `resolver` is replaced in tests."""
        self._options = options
        self._open_hosts = frozenset(host.lower() for host in options.open_hosts)
        self._targets: dict[tuple[str, str], Target] = {}
        self._resolver = resolver or Resolver()
        tls = httpx2.create_ssl_context(trust_env=False)
        tls.set_alpn_protocols(["http/1.1"])
        if options.ca_file:
            tls.load_verify_locations(options.ca_file)
        self._pool = Pool(
            self._resolver,
            tls,
            connect_timeout=options.connect_timeout,
            keepalive_expiry=options.keepalive_expiry,
        )

    async def call(
        self,
        connection: ProviderConnection,
        endpoint: str,
        body: bytes,
        *,
        timeout: timedelta,  # noqa: ASYNC109 - the deadline of the whole call is part of its meaning
        trace_id: str,
    ) -> Answer | CallFailure:
        """POST `body` as it is to `endpoint` (`chat/completions`), within `timeout` all in all.

        `trace_id` is `<request id>-<fence>`: it tells one attempt from another at the provider.
        Never raises for what a provider or a network does. A cancelled call closes its connection.
        """
        own = (
            (b"Content-Type", b"application/json"),
            (b"Content-Length", str(len(body)).encode("ascii")),
            (b"X-Client-Request-Id", trace_id.encode("ascii")),
        )
        outgoing = _Outgoing(b"POST", endpoint, own, body, self._options.max_answer_bytes)
        return await self._call(connection, outgoing, timeout)

    async def get(
        self,
        connection: ProviderConnection,
        endpoint: str,
        *,
        timeout: timedelta,  # noqa: ASYNC109 - as above
        max_bytes: int,
    ) -> Answer | CallFailure:
        """GET `endpoint` (`models`), under the same checks. TOO_LARGE past `max_bytes`."""
        outgoing = _Outgoing(b"GET", endpoint, (), None, max_bytes)
        return await self._call(connection, outgoing, timeout)

    async def _call(
        self,
        connection: ProviderConnection,
        outgoing: _Outgoing,
        timeout: timedelta,  # noqa: ASYNC109 - as above
    ) -> Answer | CallFailure:
        is_sent = False
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                authorization = _authorization(connection.key)
                target = self._target(connection.base_url, outgoing.endpoint)
                wire = await self._pool.take(target)
                is_sent = True
                request = _request(target, outgoing, authorization)
                return await self._exchange(wire, target, request, outgoing.max_bytes)
        except CallRefused as refused:
            return CallFailure(refused.kind, was_sent=False)
        except TimeoutError:
            kind = FailureKind.TIMEOUT_AFTER_SENDING if is_sent else FailureKind.CONNECT_TIMEOUT
            return CallFailure(kind, was_sent=is_sent)
        except httpcore2.LocalProtocolError:
            return CallFailure(FailureKind.BAD_URL, was_sent=is_sent)
        except (httpcore2.ProtocolError, httpcore2.NetworkError):
            return CallFailure(FailureKind.CUT, was_sent=True)

    async def close(self) -> None:
        """Close idle connections and the resolver's threads."""
        await self._pool.close()
        self._resolver.close()

    async def _exchange(
        self, wire: Connection, target: Target, request: httpcore2.Request, max_bytes: int
    ) -> Answer | CallFailure:
        try:
            response = await wire.handle_async_request(request)
            async with aclosing(response):
                return await read_answer(response, max_bytes)
        finally:
            await self._pool.put_back(target.origin, wire)

    def _target(self, base_url: str, endpoint: str) -> Target:
        """Judged once per URL; a full memory is dropped, which costs next to nothing."""
        target = self._targets.get((base_url, endpoint))
        if target is None:
            target = target_of(base_url, endpoint, self._open_hosts)
            if len(self._targets) >= _MAX_TARGETS:
                self._targets.clear()
            self._targets[base_url, endpoint] = target
        return target


def _request(
    target: Target, outgoing: _Outgoing, authorization: tuple[bytes, bytes]
) -> httpcore2.Request:
    origin = target.origin
    return httpcore2.Request(
        outgoing.method,
        httpcore2.URL(
            scheme=origin.scheme.encode(),
            host=origin.host.encode(),
            port=origin.port,
            target=target.path,
        ),
        headers=[(b"Host", target.authority), *_HEADERS, authorization, *outgoing.headers],
        content=outgoing.body,
    )


def _authorization(key: Secret) -> tuple[bytes, bytes]:
    """Raises CallRefused (BAD_KEY) for a key that cannot stand in a header."""
    revealed = key.reveal()
    if not _KEY.fullmatch(revealed):
        raise CallRefused(FailureKind.BAD_KEY)
    return b"Authorization", b"Bearer " + revealed.encode("ascii")
