"""What the three servers have in common: one folder, one port, one tree of processes."""

import time
from abc import ABC, abstractmethod
from pathlib import Path

from deploy.local import places
from deploy.local.ports import free_ports
from deploy.local.programs import Controlled, Program, ProgramFailed, Run, Running

_READY_SECONDS = 120.0
_LOOK_SECONDS = 0.05


class Server(ABC):
    """A private server. Its port and folder stay the same over kills and restarts."""

    name: str
    title: str
    package_account: str
    ports = 1

    def __init__(
        self, folder: Path, *, password: str, port: int | None = None, run: Run = Running
    ) -> None:
        """`folder` is made if missing; without `port` a free one is chosen."""
        self.account = places.account_for(self.package_account)
        self.folder = places.server_folder(folder)
        self.port = free_ports(self.ports) if port is None else port
        self.password = password
        self.log = self.folder / f"{self.name}.log"
        self._run = run
        self._process: Controlled | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The administrator's address, password included."""

    @property
    @abstractmethod
    def data(self) -> Path:
        """The folder that holds what the server keeps."""

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and, the first time, make the data folder. Harmless again."""

    @abstractmethod
    def program(self) -> Program:
        """How to run it, after `prepare`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers its own protocol."""

    @property
    def process(self) -> Controlled:
        """The server's own process, running or not."""
        if self._process is None:
            self._process = self._run(self.program())
        return self._process

    @property
    def pid(self) -> int:
        """The main process's id; ProgramFailed when it is not running."""
        return self.process.pid

    def all_processes(self) -> tuple[Controlled, ...]:
        """Everything that runs for this server, in the order it starts."""
        return (self.process,)

    def begin(self) -> None:
        """Start it without waiting. Harmless when it runs."""
        if not self.process.is_running:
            self.prepare()
            self.process.start()

    def start(self) -> None:
        """Start it and wait until it answers; ProgramFailed when it does not."""
        self.begin()
        self.wait_until_ready()

    def stop(self) -> None:
        """End it gracefully. Harmless when it is not running."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL all its processes, as a power cut would."""
        self.process.kill()

    def freeze(self) -> None:
        """SIGSTOP all its processes: connections stay open, nobody answers."""
        self.process.freeze()

    def thaw(self) -> None:
        """Undo `freeze`."""
        self.process.thaw()

    def restart(self) -> None:
        """Stop gracefully, start on the same port with the same data."""
        self.stop()
        self.start()

    def wait_until_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until our own process (nobody else's) listens and answers; else ProgramFailed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.process.is_running:
                raise ProgramFailed(f"{self.name} ended while starting, see {self.log}")
            if ("127.0.0.1", self.port) in self.process.listening() and self.is_ready():
                return
            time.sleep(_LOOK_SECONDS)
        self.process.kill()
        raise ProgramFailed(f"{self.name} was not ready in {seconds} s, see {self.log}")
