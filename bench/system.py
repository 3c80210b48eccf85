"""The system under test: a whole private stack in a temporary folder, between two providers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from bench.exposition import Batches, scrape
from bench.ledger_view import LedgerView
from bench.measured import Measured
from bench.provider.pair import Provider, Providers
from bench.usage import Roots
from deploy.local.programs import ProgramFailed
from deploy.local.stack import Stack

WORKERS = ("executor", "dispatcher")
_BATCHING = ("gateway", "executor", "dispatcher")
_PARTS = {
    "gateway": ("gateway",),
    "executor": ("executor",),
    "dispatcher": ("dispatcher",),
    "accounts": ("accounts", "accounts-worker"),
    "billing": ("billing-worker",),
}
_SECONDS = 600.0
_LOOK_SECONDS = 0.05
_PROVIDER_KEY = "bench"


class _Seeded(msgspec.Struct, frozen=True):
    live_key: str
    account_id: str
    project_id: str


class _Project(msgspec.Struct, frozen=True):
    id: str


class SignedKey(msgspec.Struct, frozen=True):
    """A live API key that must sign."""

    key: str
    signing_secret: str


class _Issued(msgspec.Struct, frozen=True):
    key: str


class System(Measured):
    """Everything that runs.

    `key`: a live API key, `signed`: one that signs its calls, both lead to the fast provider;
    `slow_key` to the slow one. `provider_port`: a provider as the fast one, `slow_provider_port`:
    the slow one, both to be called directly.
    """

    def __init__(self, stack: Stack, providers: Providers) -> None:
        """All of it is running."""
        self.stack, self._providers = stack, providers
        self.provider_pids = providers.pids
        self.provider_port = providers.theirs.port
        self.slow_provider_port = providers.slow.port
        self.port = stack.site.ports["gateway"]
        self._direct_calls = 0
        settings = {
            "REQRUN_DEMO_PROVIDER_URL": providers.fast.url,
            "REQRUN_DEMO_PROVIDER_KEY": _PROVIDER_KEY,
        }
        seeded = msgspec.json.decode(stack.seed(settings), type=_Seeded)
        self.key = seeded.live_key
        issue = ("keys", "issue", "--project", seeded.project_id, "--mode", "live", "--signed")
        self.signed = msgspec.json.decode(self._operate(*issue), type=SignedKey)
        self.slow_key = self._make_project(seeded.account_id, providers.slow)
        address = stack.postgresql.database_url
        self.ledger = LedgerView(address("requests"), address("billing"))

    @property
    def parts(self) -> Roots:
        """See Measured."""
        stack = self.stack
        parts = {
            part: [stack.process(n).pid for n in names if stack.process(n).is_running]
            for part, names in _PARTS.items()
        }
        return {
            **parts,
            "postgresql": [stack.postgresql.pid],
            "rabbitmq": [process.pid for process in stack.rabbitmq.all_processes()],
            "redis": [stack.redis.pid],
        }

    def batches(self) -> Mapping[str, Batches]:
        """Batches so far, as `<process> <batch>`, of the processes that run now."""
        return {
            f"{name} {batch}": batches
            for name in _BATCHING
            if self.stack.process(name).is_running
            for batch, batches in scrape(self.stack.url(f"{name}-internal")).items()
        }

    def provider_calls(self) -> int:
        """Calls that came through us, to either provider."""
        providers = self._providers
        every = providers.fast.calls.count() + providers.slow.calls.count()
        return every - self._direct_calls

    @contextmanager
    def slow_called_directly(self) -> Iterator[None]:
        """What the slow provider answers meanwhile did not come through us."""
        before = self.provider_calls()
        try:
            yield
        finally:
            self._direct_calls += self.provider_calls() - before

    def stop_workers(self) -> None:
        """From now on what is accepted waits."""
        for name in WORKERS:
            self.stack.process(name).ask_to_stop()
        for name in WORKERS:
            self.stack.process(name).stop()

    def start_workers(self) -> None:
        """Work again; `wait_for_workers` says when they are ready."""
        for name in WORKERS:
            self.stack.process(name).start()

    def wait_for_workers(self) -> None:
        """Until they say that they can work; ProgramFailed."""
        for name in WORKERS:
            self.stack.wait_until_ready(name)

    def wait_until_settled(self) -> None:
        """Wait until what was measured last costs nothing any more; ProgramFailed."""
        deadline = time.monotonic() + _SECONDS
        while not self.ledger.is_settled():
            if time.monotonic() > deadline:
                raise ProgramFailed("requests are still open, or billing has not counted them")
            time.sleep(_LOOK_SECONDS)

    def wait_until_open_is(self, at_most: int) -> int:
        """Wait until so few requests are open; how many are. ProgramFailed after ten minutes."""
        deadline = time.monotonic() + _SECONDS
        while (live := self.ledger.live()) > at_most:
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{live} requests are still open")
            time.sleep(_LOOK_SECONDS)
        return live

    def _make_project(self, account_id: str, provider: Provider) -> str:
        """A project that leads to this provider; a live key of it."""
        made = self._operate("projects", "create", "--account", account_id, "Slow provider")
        project = msgspec.json.decode(made, type=_Project).id
        connect = ("connections", "set", "--project", project, "--base-url", provider.url)
        self._operate(*connect)
        issued = self._operate("keys", "issue", "--project", project, "--mode", "live")
        return msgspec.json.decode(issued, type=_Issued).key

    def _operate(self, *command: str) -> bytes:
        return self.stack.operate((*command, "--json"), {"REQRUN_PROVIDER_KEY": _PROVIDER_KEY})
