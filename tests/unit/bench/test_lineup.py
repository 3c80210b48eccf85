from pathlib import Path
from typing import Any

import pytest

from bench.measured import BYSTANDERS, PROVIDER, Measured
from bench.peers import environments
from bench.peers.environments import NotInstalled
from bench.peers.lineup import Lineup, Peer
from bench.usage import Roots
from deploy.local.programs import ProgramFailed


class Stub(Measured):
    def __init__(self, name: str, pid: int, failure: Exception | None = None) -> None:
        self.name, self._pid, self._failure = name, pid, failure
        self.is_stopped = False

    @property
    def parts(self) -> Roots:
        return {self.name: [self._pid]}

    def start(self) -> None:
        if self._failure is not None:
            raise self._failure

    check = start

    def stop(self) -> None:
        self.is_stopped = True


def stub(name: str, pid: int = 1, failure: Exception | None = None) -> Any:
    return Stub(name, pid, failure)


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason() -> None:
    def refuse() -> Peer:
        raise NotInstalled("no such version")

    peers = Lineup()
    peers.add("A", refuse)
    peers.add("B", lambda: stub("B"))

    assert peers.absent == {"A": "no such version"}
    assert [peer.name for peer in peers.all] == ["B"]


def test_a_peer_that_does_not_start_is_stopped_and_named() -> None:
    broken = stub("A", failure=ProgramFailed("it fell over"))
    peers = Lineup()
    peers.add("A", lambda: broken)

    assert broken.is_stopped
    assert peers.absent == {"A": "it fell over"}
    assert peers.all == []


def test_a_peer_that_fails_once_is_out_and_the_first_reason_stays() -> None:
    peers = Lineup()
    tired = stub("A")
    peers.add("A", lambda: tired)

    def fail(reason: str) -> int:
        raise ProgramFailed(reason)

    assert peers.try_on(tired, lambda: 7) == 7
    assert peers.try_on(tired, lambda: fail("first")) is None
    assert peers.try_on(tired, lambda: fail("second")) is None
    assert peers.absent == {"A": "first"}
    assert tired.is_stopped


def test_everybody_is_everybody_elses_bystander() -> None:
    peers, ours = Lineup(), stub("ours", 1)
    ours.provider_pids = [9]
    peers.add("A", lambda: stub("A", 2))
    peers.add("B", lambda: stub("B", 3))
    peers.introduce(ours)

    assert ours.roots == {"ours": [1], PROVIDER: [9], BYSTANDERS: [2, 3]}
    assert peers.all[0].roots == {"A": [2], PROVIDER: [9], BYSTANDERS: [1, 3]}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(environments, "_REQUIREMENTS", tmp_path)
    return tmp_path


def test_a_failed_installation_is_no_installation(cache: Path) -> None:
    (cache / "none.txt").write_text(f"{cache / 'nowhere'}\n")

    for _ in range(2):
        with pytest.raises(NotInstalled):
            environments.python("none")
