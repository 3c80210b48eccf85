"""The system under test: a whole private stack in a temporary folder, and its provider."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench.exposition import Batches, scrape
from bench.ledger_view import LedgerView
from bench.provider import nginx
from bench.usage import Roots
from deploy.local.ports import free_ports
from deploy.local.programs import Controlled, Program, ProgramFailed, Running
from deploy.local.site import ROOT
from deploy.local.stack import Options, Stack

WORKERS = ("executor", "dispatcher")
_BATCHING = ("gateway", "executor", "dispatcher")
_PARTS = {
    "gateway": ("gateway",),
    "executor": ("executor",),
    "dispatcher": ("dispatcher",),
    "accounts": ("accounts", "accounts-worker"),
    "billing": ("billing-worker",),
}
_SECONDS = 120.0
_LOOK_SECONDS = 0.05


class _Seeded(msgspec.Struct, frozen=True):
    live_key: str
    project_id: str


class SignedKey(msgspec.Struct, frozen=True):
    """A live API key that must sign."""

    key: str
    signing_secret: str


class System:
    """Everything that runs.

    `key`: a live API key, `signed`: one that signs its calls; `provider_port`: what both lead to.
    """

    def __init__(
        self, stack: Stack, provider: Controlled, provider_port: int, calls: nginx.Calls | None
    ) -> None:
        """All of it is running. `calls`: of the provider, where it counts them."""
        self._stack, self._provider = stack, provider
        self._calls, self._direct_calls = calls, 0
        self.provider_port = provider_port
        self.port = stack.site.ports["gateway"]
        url = f"http://127.0.0.1:{provider_port}/v1"
        settings = {"REQRUN_DEMO_PROVIDER_URL": url, "REQRUN_DEMO_PROVIDER_KEY": "bench"}
        seeded = msgspec.json.decode(stack.seed(settings), type=_Seeded)
        self.key = seeded.live_key
        issue = ("keys", "issue", "--project", seeded.project_id, "--mode", "live", "--signed")
        issued = stack.operate((*issue, "--json"), {})
        self.signed = msgspec.json.decode(issued, type=SignedKey)
        address = stack.postgresql.database_url
        self.ledger = LedgerView(address("requests"), address("billing"))

    @property
    def roots(self) -> Roots:
        """Whose CPU is counted: the parts that run now."""
        stack = self._stack
        parts = {
            part: [stack.process(n).pid for n in names if stack.process(n).is_running]
            for part, names in _PARTS.items()
        }
        return {
            **parts,
            "postgresql": [stack.postgresql.pid],
            "rabbitmq": [process.pid for process in stack.rabbitmq.all_processes()],
            "redis": [stack.redis.pid],
            "provider": [self._provider.pid],
        }

    def batches(self) -> Mapping[str, Batches]:
        """Batches so far, as `<process> <batch>`, of the processes that run now."""
        return {
            f"{name} {batch}": batches
            for name in _BATCHING
            if self._stack.process(name).is_running
            for batch, batches in scrape(self._stack.url(f"{name}-internal")).items()
        }

    def provider_calls(self) -> int | None:
        """Calls that came through us; None where the provider does not count."""
        return None if self._calls is None else self._calls.count() - self._direct_calls

    @contextmanager
    def calling_directly(self) -> Iterator[None]:
        """What the provider answers meanwhile did not come through us."""
        before = self.provider_calls()
        yield
        after = self.provider_calls()
        if before is not None and after is not None:
            self._direct_calls += after - before

    def stop_workers(self) -> None:
        """From now on what is accepted waits."""
        for name in WORKERS:
            self._stack.process(name).ask_to_stop()
        for name in WORKERS:
            self._stack.process(name).stop()

    def start_workers(self) -> None:
        """Work again; `wait_for_workers` says when they are ready."""
        for name in WORKERS:
            self._stack.process(name).start()

    def wait_for_workers(self) -> None:
        """Until they say that they can work; ProgramFailed."""
        for name in WORKERS:
            self._stack.wait_until_ready(name)

    def wait_until_settled(self) -> None:
        """Wait until what was measured last costs nothing any more; ProgramFailed."""
        deadline = time.monotonic() + _SECONDS
        while not self.ledger.is_settled():
            if time.monotonic() > deadline:
                raise ProgramFailed("requests are still open, or billing has not counted them")
            time.sleep(_LOOK_SECONDS)

    def wait_until_open_is(self, at_most: int) -> int:
        """Wait until so few requests are open; how many are. ProgramFailed after two minutes."""
        deadline = time.monotonic() + _SECONDS
        while (live := self.ledger.live()) > at_most:
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{live} requests are still open")
            time.sleep(_LOOK_SECONDS)
        return live


@contextmanager
def running(provider_seconds: float) -> Iterator[System]:
    """Start everything; nothing is left of it afterwards, unless a program failed: then its logs.

    `provider_seconds`: how long the provider takes; 0 is a static nginx.
    """
    folder = Path(tempfile.mkdtemp(prefix="reqrun-bench-"))
    # The servers' own accounts pass through it; what is secret in it has its own mode.
    folder.chmod(0o711)
    is_kept = False
    try:
        with ExitStack() as exits:
            port = free_ports()
            provider = Running(_provider(folder, port, provider_seconds))
            provider.start()
            exits.callback(provider.stop)
            stack = Stack(folder, Options(settings={"OPEN_HOSTS": "127.0.0.1"}))
            exits.callback(stack.stop)
            stack.start()
            calls = nginx.Calls(port) if provider_seconds == 0 else None
            system = System(stack, provider, port, calls)
            exits.callback(system.ledger.close)
            yield system
    except ProgramFailed:
        is_kept = True
        raise
    finally:
        _forget_data(folder)
        if not is_kept:
            shutil.rmtree(folder)


def _provider(folder: Path, port: int, seconds: float) -> Program:
    if seconds == 0:
        return nginx.program(folder / "nginx", port)
    return Program(
        name="slow provider",
        command=(sys.executable, "-m", "bench.provider.slow", str(port), str(seconds)),
        environment={},
        folder=str(ROOT),
        log=str(folder / "provider.log"),
    )


def _forget_data(folder: Path) -> None:
    """The servers' data may lie elsewhere, with a link to it."""
    for data in (folder / "data", folder / "nginx"):
        shutil.rmtree(data.resolve(), ignore_errors=True)
