"""Programs as data, and running programs that can be stopped, killed and frozen.

Every signal goes to a process that was started here and not yet reaped, so that its number cannot
belong to anybody else, or to its children (psutil compares start times before it signals them).
"""

import os
import pwd
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import psutil

STOP_SECONDS = 30.0
_KILL_SECONDS = 10.0
_ONCE_SECONDS = 120.0
_LOOK_SECONDS = 0.005
_AT_REST = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


class ProgramFailed(Exception):
    """A program ended, or did not become ready, when it should be running."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `environment` is complete: nothing of the caller's is inherited."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str = "/"
    log: str = os.devnull
    account: str | None = None
    stop_signal: int = signal.SIGTERM


class Controlled(ABC):
    """A program that can be started, stopped, killed and frozen with all its children."""

    def __init__(self, program: Program) -> None:
        """Nothing is started yet."""
        self.program = program

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """Whether the main process lives (a frozen one does)."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The main process's id; ProgramFailed when it is not running."""

    @abstractmethod
    def start(self) -> None:
        """Start it. Harmless when it runs."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Ask it to end and do not wait. Harmless when it does not run."""

    @abstractmethod
    def stop(self) -> None:
        """Ask it to end and wait; ProgramFailed when it had to be killed."""

    def kill(self) -> None:
        """SIGKILL the whole tree and wait until all of it is gone."""
        if self.is_running:
            end_tree(psutil.Process(self.pid))

    def freeze(self) -> None:
        """SIGSTOP the whole tree: connections stay open, nobody answers."""
        _freeze_tree(psutil.Process(self.pid))

    def thaw(self) -> None:
        """SIGCONT the whole tree."""
        for process in [psutil.Process(self.pid), *_children(self.pid)]:
            _signal(process, signal.SIGCONT)  # the first may reap a later one meanwhile

    def listening(self) -> set[tuple[str, int]]:
        """The TCP addresses and ports that this tree, and no stranger, listens on."""
        found: set[tuple[str, int]] = set()
        for process in [psutil.Process(self.pid), *_children(self.pid)]:
            try:
                connections = process.net_connections("tcp")
            except psutil.Error:
                continue
            bound = [c.laddr for c in connections if c.status == psutil.CONN_LISTEN]
            found |= {(address.ip, address.port) for address in bound}
        return found


class Running(Controlled):
    """A child of ours, started at most once at a time."""

    def __init__(self, program: Program) -> None:
        """Nothing is started yet."""
        super().__init__(program)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """See Controlled."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """See Controlled."""
        if self._process is None or not self.is_running:
            raise ProgramFailed(f"{self.program.name} is not running, see {self.program.log}")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How its last run ended, a signal as its number below zero; None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it in a session of its own, output appended to its log."""
        if self.is_running:
            return
        program = self.program
        with Path(program.log).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the command is ours
                program.command,
                cwd=program.folder,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=program.account,
                group=_group(program.account),
                extra_groups=_no_groups(program.account),
            )

    def ask_to_stop(self) -> None:
        """See Controlled."""
        if self._process is not None:
            self._process.send_signal(self.program.stop_signal)

    def stop(self) -> None:
        """See Controlled."""
        if self._process is None or not self.is_running:
            return
        children = _children(self._process.pid)
        self.ask_to_stop()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProgramFailed(f"{self.program.name} did not stop in time") from None
        _end(children)

    def kill(self) -> None:
        """See Controlled."""
        super().kill()
        if self._process is not None:
            self._process.wait(_KILL_SECONDS)


Run = Callable[[Program], Controlled]
"""How programs are run: as children of ours, or under the supervisor."""


def run_once(program: Program, text: str = "") -> str:
    """Run a program to its end with `text` as its input; its output, or ProgramFailed."""
    try:
        done = subprocess.run(  # noqa: S603  the command is ours
            program.command,
            cwd=program.folder,
            env=dict(program.environment),
            user=program.account,
            group=_group(program.account),
            extra_groups=_no_groups(program.account),
            input=text,
            capture_output=True,
            text=True,
            timeout=_ONCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{program.name} did not end in {_ONCE_SECONDS} s") from None
    if done.returncode != 0:
        raise ProgramFailed(f"{program.name}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def end_tree(process: psutil.Process) -> None:
    """SIGKILL a process and all its children, and wait until they are gone."""
    _end(_freeze_tree(process))


def _freeze_tree(root: psutil.Process) -> list[psutil.Process]:
    """Stop the parent first: a stopped parent starts no more children."""
    frozen: list[psutil.Process] = []
    fresh = [root]
    while fresh:
        for process in fresh:
            _signal(process, signal.SIGSTOP)
        for process in fresh:
            _wait_until_stopped(process)
        frozen += fresh
        fresh = [child for child in _children(root.pid) if child not in frozen]
    return frozen


def _group(account: str | None) -> int | None:
    return None if account is None else pwd.getpwnam(account).pw_gid


def _no_groups(account: str | None) -> list[str | int] | None:
    """The caller's other groups are not for a server's account."""
    return None if account is None else []


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _wait_until_stopped(process: psutil.Process) -> None:
    """A process with many threads goes on for a moment after SIGSTOP."""
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        try:
            if process.status() in _AT_REST:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(_LOOK_SECONDS)
    raise ProgramFailed(f"process {process.pid} did not stop")


def _end(processes: list[psutil.Process]) -> None:
    """SIGKILL what is left of them and wait until they are gone."""
    for process in processes:
        _signal(process, signal.SIGKILL)
    _, alive = psutil.wait_procs(processes, timeout=_KILL_SECONDS)
    if alive:
        raise ProgramFailed(f"processes {[p.pid for p in alive]} outlived SIGKILL")
