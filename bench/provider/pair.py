"""The providers of a run: two that answer at once, ours and everybody else's, and a slow one."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.provider import nginx
from bench.provider.calls import Calls
from deploy.local.ports import free_ports
from deploy.local.programs import Program, Running
from deploy.local.site import ROOT


class Provider:
    """One that runs. `calls`: of everybody."""

    def __init__(self, process: Running, port: int) -> None:
        """It is running."""
        self._process = process
        self.port = port
        self.calls = Calls(port)

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid

    @property
    def url(self) -> str:
        """The base URL of a provider connection."""
        return f"http://127.0.0.1:{self.port}/v1"


class Providers:
    """`fast` and `slow` are called through us; `theirs` is as `fast`, for peers and the generator.

    So the calls that `fast` counts are ours alone, whatever a peer does on its own.
    """

    def __init__(self, fast: Provider, theirs: Provider, slow: Provider) -> None:
        """All are running."""
        self.fast, self.theirs, self.slow = fast, theirs, slow

    @property
    def pids(self) -> list[int]:
        """Of all."""
        return [self.fast.pid, self.theirs.pid, self.slow.pid]


@contextmanager
def providers(folder: Path, slow_seconds: float) -> Iterator[Providers]:
    """Start all; they end with the block. `slow_seconds`: how long the slow one takes."""
    with ExitStack() as exits:
        started = []
        for make in (_fast, _theirs, partial(_slow, slow_seconds)):
            port = free_ports()
            process = Running(make(folder, port))
            process.start()
            exits.callback(process.stop)
            started.append(Provider(process, port))
        yield Providers(*started)


def _fast(folder: Path, port: int) -> Program:
    return nginx.program(folder / "nginx", port)


def _theirs(folder: Path, port: int) -> Program:
    return nginx.program(folder / "nginx-theirs", port)


def _slow(seconds: float, folder: Path, port: int) -> Program:
    return Program(
        name="slow provider",
        command=(sys.executable, "-m", "bench.provider.slow", str(port), str(seconds)),
        environment={},
        folder=str(ROOT),
        log=str(folder / "provider.log"),
    )
