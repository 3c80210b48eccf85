"""Celery: RabbitMQ with confirms before it, Redis as its result store, two prefork processes.

Its servers are its own, of the versions that ours have.
"""

import os
import secrets
import time
from pathlib import Path

import msgspec

from bench.measured import Measured
from bench.measuring import Load, Measurement, Meter, measure_load, per_answer
from bench.peers import environments
from bench.peers.celery_app import names
from bench.plan import CELERY
from bench.provider.completion import COMPLETION, PATH, request_body
from bench.usage import Roots
from deploy.local.programs import Program, ProgramFailed, Running
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis
from deploy.local.site import ROOT

_PACKAGE = "bench.peers.celery_app"
_PROCESSES = 2
_WARM_UP = 100
_SECONDS = 300.0
_LOOK_SECONDS = 0.05


class CeleryPeer(Measured):
    """One that runs."""

    name = CELERY

    def __init__(self, folder: Path, provider_url: str) -> None:
        """Not started yet. Raises NotInstalled."""
        self._interpreter = environments.python("celery")
        place = folder / "celery"
        place.mkdir(mode=0o711)
        self._broker = RabbitMq(place / "rabbitmq", password=secrets.token_hex(12))
        self._store = Redis(place / "redis", password=secrets.token_hex(12))
        self._environment = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            names.BROKER_URL: f"{self._broker.url}/",
            names.BACKEND_URL: self._store.url,
            names.PROVIDER_URL: provider_url.removesuffix("/v1") + PATH,
        }
        self._worker = Running(self._worker_program(place))

    @property
    def parts(self) -> Roots:
        """See Measured."""
        processes = {
            "worker": (self._worker,),
            "rabbitmq": self._broker.all_processes(),
            "redis": self._store.all_processes(),
        }
        return {
            f"{CELERY} {part}": [process.pid for process in some if process.is_running]
            for part, some in processes.items()
        }

    def start(self) -> None:
        """Start its servers; the worker is started where it is needed. ProgramFailed."""
        for server in (self._broker, self._store):
            server.start()

    def stop(self) -> None:
        """End all of it. Harmless when it does not run."""
        for part in (self._worker, self._store, self._broker):
            part.stop()

    def check(self) -> None:
        """ProgramFailed when a server has ended."""
        for server in (self._broker, self._store):
            if not server.process.is_running:
                raise ProgramFailed(f"{CELERY}: {server.title} has ended")

    def warm_up(self) -> None:
        """Its queue is made by the first producer. ProgramFailed."""
        self.enqueue(_WARM_UP)
        self.drain(_WARM_UP)

    def enqueue(self, count: int) -> Measurement:
        """Fill its queue while no worker runs."""
        self._worker.stop()
        self._store.wipe()
        return self._produce({"count": count})

    def drain(self, count: int) -> Measurement:
        """Start the worker and time the queue from its first result to its last."""
        load = os.getloadavg()[0]
        self._worker.start()
        first = self._wait_for_results(1)
        meter = Meter(self)
        self._wait_for_results(count)
        meter.stop()
        return Measurement(
            answers=count - first,
            seconds=meter.seconds,
            load=load,
            others=meter.others(),
            cpu_ms=per_answer(meter.used, max(count - first, 1)),
        )

    def pace(self, rate: float, seconds: float, warm_up: float) -> Measurement:
        """End to end: from the intended time to the stored result."""
        self._store.wipe()
        self._worker.start()
        return self._produce({"per_second": rate, "seconds": seconds, "warm_up": warm_up})

    def _produce(self, plan: dict[str, float]) -> Measurement:
        """The producer's CPU is what Celery costs its user, not the generator's."""
        job = {"body": request_body(is_waiting=None), "expected": COMPLETION, **plan}
        load = Load(
            job=msgspec.json.encode(job),
            command=(str(self._interpreter), "-m", f"{_PACKAGE}.produce"),
            environment=self._environment,
            part=f"{CELERY} producer",
        )
        return measure_load(self, load)

    def _worker_program(self, place: Path) -> Program:
        app = ("-m", "celery", "-A", f"{_PACKAGE}.tasks", "worker", "--loglevel", "WARNING")
        return Program(
            name="celery",
            command=(
                str(self._interpreter),
                *app,
                *("--pool", "prefork", "--concurrency", str(_PROCESSES)),
            ),
            environment=self._environment,
            folder=str(ROOT),
            log=str(place / "worker.log"),
        )

    def _wait_for_results(self, at_least: int) -> int:
        deadline = time.monotonic() + _SECONDS
        while (stored := self._stored()) < at_least:
            if time.monotonic() > deadline or not self._worker.is_running:
                raise ProgramFailed(f"{CELERY} has stored {stored} results of {at_least}")
            time.sleep(_LOOK_SECONDS)
        return stored

    def _stored(self) -> int:
        """Results are all that is in the store."""
        return int(self._store.command("DBSIZE").removeprefix(":"))
