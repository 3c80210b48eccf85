"""The whole system in one folder: servers, databases, every process. `make up` and tests use it."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from deploy.local import databases, places
from deploy.local.processes import INTERNAL, MIGRATIONS, PROCESSES, SEED, Process
from deploy.local.programs import Controlled, Program, ProgramFailed, Run, Running, run_once
from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis
from deploy.local.servers.server import Server
from deploy.local.site import Site, port_name
from libs.common.broker.definitions import GRANTS, SALT_BYTES, User, definitions
from libs.common.settings import Secret

_READY_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_HTTP_OK = 200

Step = Callable[[str], AbstractContextManager[None]]
"""Wraps one step of a start, to show it."""


Some = TypeVar("Some", bound=Server)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a stack differs from one of everything.

    `counts`: how many of a process (the second gateway is `gateway-2`). `settings`: variables that
    every process gets, without their prefix. `preferred_ports`: by name, if they are free.
    """

    counts: Mapping[str, int] = msgspec.field(default_factory=dict)
    settings: Mapping[str, str] = msgspec.field(default_factory=dict)
    preferred_ports: Mapping[str, int] = msgspec.field(default_factory=dict)


class Stack:
    """Not started until `start`. Nothing outlives `stop`."""

    def __init__(self, folder: Path, options: Options | None = None, run: Run = Running) -> None:
        """Choose ports and make keys in `folder`, or find those of last time."""
        options = options or Options()
        self.site = Site(folder, options.settings, options.preferred_ports)
        self._run: Run = lambda program: run(self.site.marked(program))
        self.postgresql = self._server(PostgreSql)
        self.rabbitmq = self._server(RabbitMq)
        self.redis = self._server(Redis)
        self.rabbitmq.definitions = definitions(_users(self.site.keys.services), is_one_node=True)
        self.processes = {
            process.name: self._run(self.site.program(process))
            for process in _expanded(options.counts)
        }

    @property
    def servers(self) -> tuple[Server, ...]:
        """In the order they start."""
        return (self.postgresql, self.rabbitmq, self.redis)

    @property
    def base_url(self) -> str:
        """Where customers call the first gateway."""
        return self.url("gateway")

    def url(self, name: str) -> str:
        """A process's public address; its internal one under `<name>-internal`."""
        return f"http://127.0.0.1:{self.site.ports[name]}"

    def process(self, name: str) -> Controlled:
        """One process: `pid`, `start`, `stop`, `kill`, `freeze`, `thaw`."""
        return self.processes[name]

    def programs(self) -> list[Program]:
        """Everything that runs, in the order it starts."""
        of_servers = [process for server in self.servers for process in server.all_processes()]
        return [process.program for process in (*of_servers, *self.processes.values())]

    def start(self, step: Step = lambda _: nullcontext()) -> None:
        """Start everything and wait until all of it is ready; ProgramFailed names what is not."""
        for server in self.servers:
            server.begin()
        for server in self.servers:
            with step(f"Starting {server.title}"):
                server.wait_until_ready()
        with step("Creating databases"):
            databases.create(self.postgresql, self.site.keys)
            for migration in MIGRATIONS:
                run_once(self.site.program(migration))
        with step(f"Starting {len(self.processes)} processes"):
            for process in self.processes.values():
                process.start()
            for name in self.processes:
                self.wait_until_ready(name)

    def stop(self) -> None:
        """Stop the processes together, then the servers; the first failure is raised at the end."""
        failures: list[ProgramFailed] = []
        for process in self.processes.values():
            process.ask_to_stop()
        stops = [process.stop for process in self.processes.values()]
        for stop in (*stops, *(server.stop for server in reversed(self.servers))):
            try:
                stop()
            except ProgramFailed as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def remove(self) -> None:
        """Forget data, keys and logs. It must be stopped."""
        places.remove_server_folder(self.site.folder / "data")
        shutil.rmtree(self.site.folder)

    def is_well(self) -> bool:
        """Whether every server answers and every process can work."""
        servers = all(s.process.is_running and s.is_ready() for s in self.servers)
        return servers and all(self.is_ready(name) for name in self.processes)

    def wait_until_ready(self, name: str, seconds: float = _READY_SECONDS) -> None:
        """Wait until a process says on its internal port that it can work; else ProgramFailed."""
        deadline = time.monotonic() + seconds
        while not self.is_ready(name):
            if not self.processes[name].is_running or time.monotonic() > deadline:
                log = self.processes[name].program.log
                raise ProgramFailed(f"{name} did not become ready, see {log}")
            time.sleep(_LOOK_SECONDS)

    def is_ready(self, name: str) -> bool:
        """Whether a process can work now."""
        address = f"{self.url(port_name(name, INTERNAL))}/readyz"
        try:
            with urlopen(address, timeout=5) as answer:  # noqa: S310  http, our own address
                return bool(answer.status == _HTTP_OK)
        except (URLError, OSError):
            return False

    def seed(self, environment: Mapping[str, str]) -> bytes:
        """Make the demo accounts; what the operator command of accounts prints, JSON."""
        return self.operate(SEED.role, environment)

    def operate(self, command: tuple[str, ...], environment: Mapping[str, str]) -> bytes:
        """Run an operator command of accounts with `--json` in it; what it prints."""
        program = self.site.program(msgspec.structs.replace(SEED, role=command))
        complete = {**program.environment, **environment}
        return run_once(msgspec.structs.replace(program, environment=complete)).encode()

    def _server(self, kind: type[Some]) -> Some:
        site = self.site
        server = kind(
            site.data / kind.name,
            password=site.keys.servers[kind.name],
            port=site.ports[kind.name],
            run=self._run,
        )
        server.log = site.logs / f"{kind.name}.log"
        return server


def _users(passwords: Mapping[str, str]) -> list[User]:
    return [
        User(name=name, password=Secret(passwords[name]), salt=os.urandom(SALT_BYTES), grant=grant)
        for name, grant in GRANTS.items()
    ]


def _expanded(counts: Mapping[str, int]) -> list[Process]:
    """The second of a kind gets its number in its name, and so ports of its own."""
    return [
        process
        if number == 1
        else msgspec.structs.replace(process, name=f"{process.name}-{number}")
        for process in PROCESSES
        for number in range(1, counts.get(process.name, 1) + 1)
    ]
