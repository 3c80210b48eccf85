"""One call to a provider. What it cost us to get wrong is in docs/request-lifecycle.md."""

import asyncio
import re
from datetime import timedelta
from typing import Final, NamedTuple

import httpx2
import msgspec

from libs.common.settings import Secret
from services.executor.adapters.provider.answers import AnswerReader
from services.executor.adapters.provider.connections import Connection
from services.executor.adapters.provider.pool import Pool
from services.executor.adapters.provider.resolver import Resolver
from services.executor.adapters.provider.targets import CallRefused, Target, target_of
from services.executor.domain.calls import Answer, CallFailure, FailureKind, ProviderConnection

_MAX_TARGETS: Final = 4096
_KEY: Final = re.compile(r"[!-~]{1,1024}")
"""Printable ASCII without spaces: what a bearer token may be (RFC 6750, 2.1, read generously)."""

_TRACE_ID: Final = re.compile(r"[!-~]{1,512}")
"""OpenAI takes 512 characters of ASCII; ours are ids."""

# Compressed answers save little here and are how a small answer becomes a huge one.
_HEAD: Final = (
    b"%b %b HTTP/1.1\r\n"
    b"Host: %b\r\n"
    b"User-Agent: ReqRun\r\n"
    b"Accept: application/json\r\n"
    b"Accept-Encoding: identity\r\n"
    b"Authorization: Bearer %b\r\n"
    b"%b\r\n"
)
"""Method, path, authority, key, lines of its own. Each was checked where it comes in: nothing that
stands here can end a line."""

_OF_A_BODY: Final = (
    b"Content-Type: application/json\r\nContent-Length: %d\r\nX-Client-Request-Id: %b\r\n"
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
    """What differs between calls. `lines`: of the head, besides those of every call."""

    method: bytes
    endpoint: str
    lines: bytes
    body: bytes
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
        if not _TRACE_ID.fullmatch(trace_id):
            return CallFailure(FailureKind.BAD_URL, was_sent=False)
        lines = _OF_A_BODY % (len(body), trace_id.encode("ascii"))
        outgoing = _Outgoing(b"POST", endpoint, lines, body, self._options.max_answer_bytes)
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
        outgoing = _Outgoing(b"GET", endpoint, b"", b"", max_bytes)
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
                key = _bearer(connection.key)
                target = self._target(connection.base_url, outgoing.endpoint)
                wire = await self._pool.take(target)
                is_sent = True
                head = _HEAD % (
                    outgoing.method, target.path, target.authority, key, outgoing.lines
                )  # fmt: skip
                return await self._exchange(wire, target, head, outgoing)
        except CallRefused as refused:
            return CallFailure(refused.kind, was_sent=False)
        except TimeoutError:
            kind = FailureKind.TIMEOUT_AFTER_SENDING if is_sent else FailureKind.CONNECT_TIMEOUT
            return CallFailure(kind, was_sent=is_sent)

    async def close(self) -> None:
        """Close idle connections and the resolver's threads."""
        self._pool.close()
        self._resolver.close()

    async def _exchange(
        self, wire: Connection, target: Target, head: bytes, outgoing: _Outgoing
    ) -> Answer | CallFailure:
        reader = AnswerReader(outgoing.max_bytes)
        try:
            await wire.exchange(head, outgoing.body, reader)
        finally:
            self._pool.put_back(target.origin, wire)
        return reader.answer

    def _target(self, base_url: str, endpoint: str) -> Target:
        """Judged once per URL; a full memory is dropped, which costs next to nothing."""
        target = self._targets.get((base_url, endpoint))
        if target is None:
            target = target_of(base_url, endpoint, self._open_hosts)
            if len(self._targets) >= _MAX_TARGETS:
                self._targets.clear()
            self._targets[base_url, endpoint] = target
        return target


def _bearer(key: Secret) -> bytes:
    """Raises CallRefused (BAD_KEY) for a key that cannot stand in a header."""
    revealed = key.reveal()
    if not _KEY.fullmatch(revealed):
        raise CallRefused(FailureKind.BAD_KEY)
    return revealed.encode("ascii")
