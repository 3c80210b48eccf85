"""The whole system for tests: every server and every process, real, in a temporary folder."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import msgspec

from deploy.local.processes import INTERNAL
from deploy.local.programs import Controlled, ProgramFailed, Running
from deploy.local.servers.server import Server
from deploy.local.site import port_name
from deploy.local.stack import Options, Stack
from libs.common.settings import PREFIX
from services.accounts.use_cases.demo import Demo
from tests.support.servers import folder_for_servers

_LOG_TAIL: Final = 4_000
PROVIDER_KEY: Final = "sk-simulated"
SHORT: Final = {
    "HAS_CONTROLS": "true",
    "BACKOFF_SCALE": "0.1",
    "GRACE": "5",
}
"""What makes a system quick to try: settings without their prefix."""


class System:
    """A running stack, its demo accounts, and the witness: the provider's own call log."""

    def __init__(self, stack: Stack, call_log: Path) -> None:
        """`call_log`: where the simulator appends each call."""
        self.stack = stack
        self.call_log = call_log
        self.seeded = self._seed()
        self._first = {name: process.program for name, process in stack.processes.items()}
        self._own = dict(self._first)

    @property
    def gateways(self) -> list[str]:
        """The public addresses of all gateways."""
        names = [name for name in self.stack.processes if name.startswith("gateway")]
        return [self.stack.url(name) for name in names]

    @property
    def simulator_url(self) -> str:
        """The provider's address."""
        return self.stack.url("simulator")

    def database_url(self, name: str) -> str:
        """One database, for its superuser."""
        return self.stack.postgresql.database_url(name)

    def operate(self, *words: str, settings: Mapping[str, str] | None = None) -> Any:
        """Run an operator's command of accounts; its JSON answer."""
        return msgspec.json.decode(self.stack.operate((*words, "--json"), settings or {}))

    def script(self, model: str | None = None, latency_ms: int = 0) -> None:
        """From now on the provider behaves as if every call named `model`; None: as named."""
        wish = {"latency_ms": latency_ms, **({} if model is None else {"model": model})}
        body = msgspec.json.encode(wish)
        with urlopen(Request(f"{self.simulator_url}/_script", data=body), timeout=5):  # noqa: S310  http, our own address
            return

    def metric(self, process: str, name: str) -> float:
        """The sum of one metric's samples in a process; 0 where it has none yet."""
        address = f"{self.stack.url(port_name(process, INTERNAL))}/metrics"
        with urlopen(address, timeout=5) as answer:  # noqa: S310  http, our own address
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def process(self, name: str) -> Controlled:
        """One process of ours."""
        return self.stack.process(name)

    def server(self, name: str) -> Server:
        """One of the three servers."""
        return {server.name: server for server in self.stack.servers}[name]

    async def start(self, name: str) -> None:
        """Start a process or a server that was ended, and wait until it can work."""
        if name in self.stack.processes:
            self.stack.process(name).start()
            await asyncio.to_thread(self.stack.wait_until_ready, name)
        else:
            await asyncio.to_thread(self.server(name).start)

    async def begin(self, name: str, settings: Mapping[str, str] | None = None) -> None:
        """Start a process anew, asking it to end before; not waiting until it can work.

        `settings`: besides its own and without their prefix, for this run only.
        """
        process, own = self.stack.process(name), self._own[name]
        await asyncio.to_thread(process.stop)
        more = {PREFIX + key: text for key, text in (settings or {}).items()}
        process.program = msgspec.structs.replace(own, environment={**own.environment, **more})
        process.start()

    async def restart(self, name: str, settings: Mapping[str, str] | None = None) -> None:
        """As `begin`; returns once it can work."""
        await self.begin(name, settings)
        await asyncio.to_thread(self.stack.wait_until_ready, name)

    async def equip(self, name: str, settings: Mapping[str, str] | None = None) -> None:
        """As `restart`, for every run from now on; without settings: as it was at first."""
        self._own[name] = self._first[name]
        await self.restart(name, settings)
        self._own[name] = self.stack.process(name).program

    def exit_code(self, name: str) -> int | None:
        """How a process ended, a signal as its number below zero; None while it runs."""
        process = self.stack.process(name)
        assert isinstance(process, Running)
        return process.exit_code

    async def kill(self, name: str) -> None:
        """SIGKILL a process or a server with all its children."""
        target = self.process(name) if name in self.stack.processes else self.server(name)
        await asyncio.to_thread(target.kill)

    async def revive(self) -> None:
        """Undo whatever is left of a fault: thaw what is frozen, start what is dead."""
        _thaw(self.stack)
        for server in self.stack.servers:
            await asyncio.to_thread(server.start)
        for name, process in self.stack.processes.items():
            if process.program != self._own[name]:
                await self.begin(name)
            process.start()
        for name in self.stack.processes:
            await asyncio.to_thread(self.stack.wait_until_ready, name)
        await asyncio.to_thread(self.script)

    def _seed(self) -> Demo:
        provider = {
            "REQRUN_DEMO_PROVIDER_URL": f"{self.simulator_url}/v1",
            "REQRUN_DEMO_PROVIDER_KEY": PROVIDER_KEY,
        }
        return msgspec.json.decode(self.stack.seed(provider), type=Demo)


@contextmanager
def running_system(
    keep: Path,
    counts: Mapping[str, int] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[System]:
    """A whole system. Its logs are copied to `keep` when it ends; nothing else is left of it."""
    with folder_for_servers() as folder:
        call_log = folder / "calls.jsonl"
        own = {**SHORT, "CALL_LOG": str(call_log), **(settings or {})}
        stack = Stack(folder / "stack", Options(counts=counts or {}, settings=own))
        try:
            _start(stack)
            yield System(stack, call_log)
        finally:
            _thaw(stack)
            try:
                stack.stop()
            finally:
                tidy(stack, keep)


def _start(stack: Stack) -> None:
    try:
        stack.start()
    except ProgramFailed as failure:
        tails = [log.read_text()[-_LOG_TAIL:] for log in stack.site.logs.glob("*.log")]
        raise ProgramFailed("\n".join([str(failure), *tails])) from None


def _thaw(stack: Stack) -> None:
    for controlled in (*stack.processes.values(), *(s.process for s in stack.servers)):
        if controlled.is_running:
            controlled.thaw()


def tidy(stack: Stack, keep: Path) -> None:
    """Keep the logs; forget the data, which lies elsewhere when the servers may not enter here."""
    for log in stack.site.logs.glob("*.log"):
        (keep / log.name).write_bytes(log.read_bytes())
    shutil.rmtree(stack.site.data)
