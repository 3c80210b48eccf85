"""Programs under supervisord: they outlive the command that starts them, and come back to life."""

import hashlib
import os
import resource
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import msgspec
import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport  # type: ignore[import-untyped]  # no types

from deploy.local import places
from deploy.local.programs import (
    STOP_SECONDS,
    Controlled,
    Program,
    ProgramFailed,
    end_tree,
    run_once,
)
from deploy.local.site import MARK, ROOT

_SOCKET_LENGTH = 100  # Linux takes 107 bytes
_FILES = 65_536
_START_SECONDS = 15.0
_LOOK_SECONDS = 0.05
_ALIVE = ("STARTING", "RUNNING", "STOPPING")

_DAEMON = """[supervisord]
pidfile={folder}/supervisord.pid
logfile={folder}/logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
childlogdir={folder}/logs
umask=077
minfds={files}
{user}
[unix_http_server]
file={socket}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
# The stack orders the first start; a program that dies is started again, however often.
_PROGRAM = """[program:{name}]
command={command}
directory={root}
autostart=false
autorestart=true
startsecs=1
startretries=1000
stopsignal={signal}
stopwaitsecs={wait}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


class Supervisor:
    """The supervisord of one folder, running or not."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the stack's."""
        self._folder = folder.absolute()
        self._programs = self._folder / "programs.json"
        self._configuration = self._folder / "supervisord.conf"
        self._socket = _socket(self._folder)

    @property
    def is_running(self) -> bool:
        """Whether it answers on this folder's socket."""
        try:
            self.call("getPID")
        except OSError:
            return False
        except Fault:
            return True  # it is shutting down
        return True

    def has(self, programs: list[Program]) -> bool:
        """Whether it was started with exactly these programs."""
        return self._programs.exists() and self._programs.read_bytes() == _encode(programs)

    def start(self, programs: list[Program]) -> None:
        """Start it with these programs, none of them started yet; ProgramFailed if it does not."""
        self._socket.parent.mkdir(mode=0o700, exist_ok=True)
        if self._socket.parent.lstat().st_uid != os.geteuid():
            raise ProgramFailed(f"{self._socket.parent} belongs to somebody else")
        places.write_private(self._programs, _encode(programs).decode())
        places.write_private(self._configuration, self._render(programs))
        command = (sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration))
        mark = {MARK: str(self._folder.resolve())}
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", **mark}
        run_once(Program(name="supervisord", command=command, environment=environment))
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_running:
            if time.monotonic() > deadline:
                raise ProgramFailed(f"supervisord did not start, see {self._folder}/logs")
            time.sleep(_LOOK_SECONDS)

    def shut_down(self) -> None:
        """End it; what still runs under it is stopped first."""
        pid = int(self.call("getPID"))
        self.call("shutdown")
        _, alive = psutil.wait_procs([psutil.Process(pid)], STOP_SECONDS)
        if alive:
            raise ProgramFailed(f"supervisord did not stop, see {self._folder}/logs")
        if self._socket.parent != self._folder:
            shutil.rmtree(self._socket.parent)

    def end_orphans(self) -> None:
        """Kill what a supervisor that was itself killed has left behind, by the mark it carries."""
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get(MARK) == str(self._folder.resolve())
            except psutil.Error:
                continue
            if is_ours:
                end_tree(process)

    def run(self, program: Program) -> "Supervised":
        """One of its programs."""
        return Supervised(program, self)

    def call(self, method: str, *arguments: object) -> Any:
        """Ask it over its socket. OSError when it is not there; Fault is its own refusal."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return cast("Any", getattr(proxy.supervisor, method))(*arguments)

    def _render(self, programs: list[Program]) -> str:
        text = _DAEMON.format(
            folder=_plain(self._folder),
            socket=_plain(self._socket),
            files=min(_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
            user="user=root" if os.geteuid() == 0 else "",
        )
        return text + "".join(self._section(program) for program in programs)

    def _section(self, program: Program) -> str:
        words = (sys.executable, "-m", "deploy.local.launch", str(self._programs), program.name)
        return _PROGRAM.format(
            name=program.name,
            command=_plain(shlex.join(words)),
            root=_plain(ROOT),
            signal=program.stop_signal,
            wait=int(STOP_SECONDS),
            log=_plain(program.log),
        )


class Supervised(Controlled):
    """A program under a supervisor. Killed, it comes back by itself."""

    def __init__(self, program: Program, supervisor: Supervisor) -> None:
        """Nothing is started yet."""
        super().__init__(program)
        self._supervisor = supervisor

    @property
    def state(self) -> str:
        """The supervisor's word for its state, in lower case; `stopped` without a supervisor."""
        return str(self._info()["statename"]).lower()

    @property
    def is_running(self) -> bool:
        """See Controlled."""
        info = self._info()
        return info["statename"] in _ALIVE and bool(info["pid"])

    @property
    def pid(self) -> int:
        """See Controlled."""
        if not self.is_running:
            raise ProgramFailed(f"{self.program.name} is not running, see {self.program.log}")
        return int(self._info()["pid"])

    def start(self) -> None:
        """See Controlled."""
        try:
            self._supervisor.call("startProcess", self.program.name, False)  # noqa: FBT003  XML-RPC
        except Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise ProgramFailed(f"{self.program.name}: {fault.faultString}") from None

    def ask_to_stop(self) -> None:
        """See Controlled."""
        self._stop(is_waiting=False)

    def stop(self) -> None:
        """See Controlled. Killed by the supervisor when it does not end in time."""
        self._stop(is_waiting=True)
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_running and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def _stop(self, *, is_waiting: bool) -> None:
        try:
            self._supervisor.call("stopProcess", self.program.name, is_waiting)
        except OSError:
            return  # no supervisor, so nothing runs
        except Fault as fault:
            if fault.faultCode not in (Faults.NOT_RUNNING, Faults.BAD_NAME):
                raise ProgramFailed(f"{self.program.name}: {fault.faultString}") from None

    def _info(self) -> dict[str, Any]:
        try:
            return dict(self._supervisor.call("getProcessInfo", self.program.name))
        except (OSError, Fault):
            return {"statename": "STOPPED", "pid": 0}


def _encode(programs: list[Program]) -> bytes:
    return msgspec.json.encode(programs)


def _plain(text: object) -> str:
    """A value as supervisord's file takes it: a per cent sign begins an expansion there."""
    return str(text).replace("%", "%%")


def _socket(folder: Path) -> Path:
    """In the folder; where that path is too long for a socket, in a private one of its own."""
    socket = folder / "supervisor.sock"
    if len(os.fsencode(socket)) <= _SOCKET_LENGTH:
        return socket
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"reqrun-{digest}"
    return private / "supervisor.sock"
