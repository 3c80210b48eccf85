"""Names to checked addresses: the one place where a customer's host name is looked up.

The connection goes to the address that comes from here, so that a name which changes its mind
between the check and the use (DNS rebinding) gains nothing.
"""

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.executor.adapters.provider.addresses import is_public
from services.executor.adapters.provider.targets import CallRefused
from services.executor.domain.calls import FailureKind

Lookup = Callable[[str], list[str]]
"""A blocking look-up: host in, literal addresses out, in order of preference; raises OSError."""

KEEP_SECONDS: Final = 10.0
MAX_NAMES: Final = 1024

_THREADS: Final = 16
_MAX_ADDRESSES: Final = 4


def look_up(host: str) -> list[str]:
    """The system's look-up. Bytes, because Python's own IDNA codec chokes on odd ASCII names."""
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """Looks names up in threads of its own, one look-up per name at a time, kept for 10 s.

    So a burst of calls asks once, and one customer's dead name server holds up nobody else's calls
    nor the process's default threads.
    """

    def __init__(self, lookup: Lookup = look_up) -> None:
        """`lookup` is replaced in tests."""
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")
        self._known: OrderedDict[str, tuple[float, asyncio.Future[list[str]]]] = OrderedDict()

    async def resolve(self, host: str, *, is_open: bool) -> list[str]:
        """Addresses to try, in order, at most 4. Raises CallRefused (DNS or BLOCKED_ADDRESS).

        One address that is not public refuses the name as a whole: it has no business there.
        """
        try:
            found = await asyncio.shield(self._find(host))
        except OSError:
            raise CallRefused(FailureKind.DNS) from None
        if not found:
            raise CallRefused(FailureKind.DNS)
        if not is_open and not all(is_public(address) for address in found):
            raise CallRefused(FailureKind.BLOCKED_ADDRESS)
        return found[:_MAX_ADDRESSES]

    def close(self) -> None:
        """Let go of the threads, without waiting for a look-up that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _find(self, host: str) -> asyncio.Future[list[str]]:
        now = time.monotonic()
        started_at, lookup = self._known.get(host, (0.0, None))
        is_fresh = lookup and (not lookup.done() or now - started_at < KEEP_SECONDS)
        if lookup is None or not is_fresh or _has_failed(lookup):
            loop = asyncio.get_running_loop()
            lookup = loop.run_in_executor(self._threads, self._lookup, host)
            self._known[host] = (now, lookup)
            self._known.move_to_end(host)
            if len(self._known) > MAX_NAMES:
                self._known.popitem(last=False)
        return lookup


def _has_failed(lookup: asyncio.Future[list[str]]) -> bool:
    """A failure is never kept; asking for it here also tells asyncio that somebody has seen it."""
    return lookup.done() and (lookup.cancelled() or lookup.exception() is not None)
