"""The peers of a run: those that could be had, and why the others could not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.measured import Measured
from bench.peers import environments, litellm, portkey
from bench.peers.celery import CeleryPeer
from bench.peers.environments import NotInstalled
from bench.peers.proxy import Proxy
from bench.plan import CELERY, LITELLM, PORTKEY
from bench.usage import memory_bytes
from deploy.local.programs import ProgramFailed

Peer = Proxy | CeleryPeer
Some = TypeVar("Some")

_MAKERS: Mapping[str, Callable[[Path, str], Peer]] = {
    LITELLM: litellm.make,
    PORTKEY: portkey.make,
    CELERY: CeleryPeer,
}
ALL = tuple(_MAKERS)


class Lineup:
    """Peers that run, by name. `absent`: why the others do not."""

    def __init__(self) -> None:
        """Nobody so far."""
        self._peers: dict[str, Peer] = {}
        self.absent: dict[str, str] = {}

    @property
    def all(self) -> list[Peer]:
        """Those that run."""
        return list(self._peers.values())

    @property
    def proxies(self) -> list[Proxy]:
        """Those that speak the provider's API."""
        return [peer for peer in self.all if isinstance(peer, Proxy)]

    @property
    def celery(self) -> CeleryPeer | None:
        """It, if it runs."""
        return next((peer for peer in self.all if isinstance(peer, CeleryPeer)), None)

    def add(self, name: str, make: Callable[[], Peer]) -> None:
        """Install and start one, or note why not."""
        peer: Peer | None = None
        try:
            peer = make()
            self._peers[name] = peer
            peer.start()
        except (NotInstalled, ProgramFailed, OSError) as failure:
            self.drop(name, failure)

    def drop(self, name: str, failure: Exception) -> None:
        """Go on without one that failed."""
        self.absent.setdefault(name, str(failure))
        peer = self._peers.pop(name, None)
        if peer is not None:
            _stop(peer)

    def try_on(self, peer: Peer, work: Callable[[], Some]) -> Some | None:
        """What `work` makes; None when the peer fails at it, which is then gone."""
        try:
            peer.check()
            return work()
        except (ProgramFailed, OSError) as failure:
            self.drop(peer.name, failure)
            return None

    def introduce(self, system: Measured) -> None:
        """Tell each who else runs: they are one another's bystanders."""
        everybody: list[Measured] = [system, *self.all]
        for one in everybody:
            one.bystanders = [other for other in everybody if other is not one]
            one.provider_pids = system.provider_pids

    def warm_up(self) -> None:
        """Let each answer what it answers slowly because it is the first."""
        for peer in self.all:
            self.try_on(peer, peer.warm_up)

    def memory(self) -> dict[str, int]:
        """Bytes by peer's part, now."""
        return {part: size for peer in self.all for part, size in memory_bytes(peer.parts).items()}

    def stop(self) -> None:
        """End them all."""
        for peer in self.all:
            _stop(peer)


@contextmanager
def lineup(folder: Path, provider_url: str, names: tuple[str, ...]) -> Iterator[Lineup]:
    """Start these peers, calling this provider; they end with the block."""
    peers = Lineup()
    try:
        for name in names:
            peers.add(name, partial(_MAKERS[name], folder, provider_url))
        yield peers
    finally:
        peers.stop()


def _stop(peer: Peer) -> None:
    try:
        peer.stop()
    except ProgramFailed:
        return  # it was killed, which is as good


def pins(names: Sequence[str]) -> dict[str, str]:
    """What is installed of each."""
    return {name: environments.pins(name.lower()) for name in names}
