"""A system whose processes are of two releases at once, each process behind what finds it.

As on Kubernetes: who asks another service does so at the address of a balancer of connections (a
Service); a new process takes part once it is ready, an old one is taken out first, goes on for a
moment (`preStop`), and is then asked to stop. Provider, mail and Paddle are stand-ins for the world
outside: they stay.
"""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import msgspec

from deploy.local import databases
from deploy.local.ports import free_ports
from deploy.local.processes import INTERNAL, PROCESSES, PUBLIC
from deploy.local.programs import Program, ProgramFailed, Running, run_once
from deploy.local.site import port_name
from deploy.local.stack import Options, Stack
from libs.common.settings import PREFIX
from services.accounts.use_cases.demo import Demo
from tests.support.balanced import Balance
from tests.support.proxy import Proxy
from tests.support.releases import Programs, Release
from tests.support.servers import folder_for_servers
from tests.support.stack import PROVIDER_KEY, SHORT, System, tidy
from tests.support.waiting import until

PRE_STOP_SECONDS: Final = 1.0
"""Ten in the manifests, where endpoints follow readiness late; here they follow at once."""

_STOP_SECONDS: Final = 30.0
_READY_SECONDS: Final = 180.0
_LOOPBACK: Final = "127.0.0.1"
OUTSIDE: Final = ("mail", "paddle", "simulator")
INSIDE: Final = tuple(process.name for process in PROCESSES if process.name not in OUTSIDE)
"""What a release is made of, in the order it starts."""


class Member(msgspec.Struct, eq=False):
    """One running process of a release."""

    kind: str
    release: Release
    process: Running
    ports: Mapping[str, int]

    @property
    def origin(self) -> str:
        """Where customers call it."""
        return f"http://127.0.0.1:{self.ports[PUBLIC]}"

    def is_ready(self) -> bool:
        """Whether it says that it can work; ProgramFailed when it has ended."""
        if not self.process.is_running:
            raise ProgramFailed(f"{self.process.program.name}, see {self.process.program.log}")
        try:
            with urlopen(f"http://127.0.0.1:{self.ports[INTERNAL]}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Fleet(System):
    """See above. `members`: what runs now."""

    def __init__(
        self, stack: Stack, call_log: Path, programs: Mapping[str, Programs], seed: Program
    ) -> None:
        """`programs`: by the release's name. `seed`: of the release that made the databases."""
        self._seed_program = seed
        self._programs = programs
        self.balance = Balance()
        self.members: list[Member] = []
        self._services: dict[str, Proxy] = {}
        self._addresses: dict[str, Proxy] = {}
        super().__init__(stack, call_log)

    @contextmanager
    def services(self) -> Iterator[None]:
        """The balancers of connections, one for each process that others ask."""
        with ExitStack() as running:
            for process in PROCESSES:
                if process.name in INSIDE and INTERNAL in process.ports:
                    port = self.stack.site.ports[port_name(process.name, INTERNAL)]
                    proxy = running.enter_context(Proxy(port).running())
                    self._services[process.name] = proxy
                    self._addresses[f"{_LOOPBACK}:{port}"] = proxy
            yield

    async def migrate(self, release: Release) -> None:
        """Its migration jobs, to the end; harmless again."""
        for migration in self._programs[release.name].migrations:
            await asyncio.to_thread(run_once, migration)

    def begin_member(self, kind: str, release: Release) -> Member:
        """Start one more; not waiting until it can work."""
        program, number = self._programs[release.name].processes[kind], secrets.token_hex(2)
        ports = {
            name: free_ports()
            for name in (INTERNAL, PUBLIC)
            if PREFIX + name in program.environment
        }
        environment = self._led(program.environment)
        environment |= {PREFIX + name: str(port) for name, port in ports.items()}
        name = f"{kind}-{release.name.split()[0]}-{number}"
        log = str(Path(program.log).with_name(f"{name}.log"))
        process = Running(
            msgspec.structs.replace(program, name=name, environment=environment, log=log)
        )
        process.start()
        member = Member(kind, release, process, ports)
        self.members.append(member)
        return member

    async def take_in(self, member: Member) -> None:
        """Wait until it is ready, and let others find it."""
        await until(lambda: asyncio.to_thread(member.is_ready), _READY_SECONDS)
        self._services[member.kind].server_port = member.ports[INTERNAL]
        if member.kind == "gateway":
            self.balance.take_in(member.origin)

    async def retire(self, member: Member) -> None:
        """Take it out, let it go on for a moment, ask it to stop, and see it end well."""
        self.members.remove(member)
        if member.kind == "gateway":
            self.balance.take_out(member.origin)
        await asyncio.sleep(PRE_STOP_SECONDS)
        member.process.ask_to_stop()
        await until(lambda: member.process.exit_code is not None, _STOP_SECONDS)
        assert member.process.exit_code == 0, member.process.program.log

    def stop_members(self) -> None:
        """What is left of them, at the end."""
        for member in self.members:
            member.process.ask_to_stop()
        for member in self.members:
            with suppress(ProgramFailed):
                member.process.stop()

    def _led(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The same settings, led to the balancers of connections."""
        led = dict(environment)
        for straight, proxy in self._addresses.items():
            round_about = f"{_LOOPBACK}:{proxy.port}"
            led = {name: text.replace(straight, round_about) for name, text in led.items()}
        return led

    def _seed(self) -> Demo:
        given = {
            "REQRUN_DEMO_PROVIDER_URL": f"{self.simulator_url}/v1",
            "REQRUN_DEMO_PROVIDER_KEY": PROVIDER_KEY,
        }
        environment = {**self._seed_program.environment, **given}
        program = msgspec.structs.replace(self._seed_program, environment=environment)
        return msgspec.json.decode(run_once(program), type=Demo)


@contextmanager
def running_fleet(keep: Path, first: Release, *others: Release) -> Iterator[Fleet]:
    """Servers, databases as `first` makes them, and a seed; no process of a release runs yet.

    Logs are copied to `keep` when it ends; nothing else is left of it.
    """
    with folder_for_servers() as folder:
        call_log = folder / "calls.jsonl"
        settings = {**SHORT, "CALL_LOG": str(call_log)}
        told = {one.name: one.programs(folder / "stack", settings) for one in (first, *others)}
        counts = dict.fromkeys(INSIDE, 0)
        stack = Stack(folder / "stack", Options(counts=counts, settings=settings))
        try:
            _start(stack, told[first.name])
            fleet = Fleet(stack, call_log, told, told[first.name].seed)
            with fleet.services():
                try:
                    yield fleet
                finally:
                    fleet.stop_members()
        finally:
            try:
                stack.stop()
            finally:
                tidy(stack, keep)


def _start(stack: Stack, first: Programs) -> None:
    for server in stack.servers:
        server.begin()
    for server in stack.servers:
        server.wait_until_ready()
    databases.create(stack.postgresql, stack.site.keys)
    for migration in first.migrations:
        run_once(migration)
    for name, process in stack.processes.items():
        process.start()
        stack.wait_until_ready(name)
