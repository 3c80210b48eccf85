"""docker-compose.yml without an engine: its commands, settings, secrets and order, up to the demo.

Names and ports of containers become ports of this machine; all else is as the file says.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
import pytest

from deploy.checks.manifests import rendering
from deploy.local.ports import free_ports
from deploy.local.programs import Program, Running, run_once
from deploy.local.servers.postgresql import PostgreSql
from deploy.local.servers.rabbitmq import RabbitMq
from deploy.local.servers.redis import Redis
from deploy.local.servers.server import Server
from tests.support.waiting import until

INTERNAL = "8081"
SERVERS = {"postgresql": 5432, "rabbitmq": 5672, "redis": 6379}


class Composed:
    """The file's services as programs, the servers as the local stack runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, Any] = rendering.compose()["services"]
        self.ports: dict[str, int] = {}
        self.servers: list[Server] = []
        self.running: dict[str, Running] = {}

    def volume(self, name: str) -> Path:
        made = self.folder / "volumes" / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def prepare(self) -> None:
        """Run the one-shot, each of its volumes a folder."""
        (self.folder / "secrets").mkdir()
        for mount in self.known["prepare"]["volumes"]:
            if mount["target"].startswith("/secrets/"):
                link = self.folder / "secrets" / Path(mount["target"]).name
                link.symlink_to(self.volume(mount["source"]))
        self.run("prepare", REQRUN_VOLUMES_FOLDER=str(self.folder / "secrets"))

    def start_servers(self) -> None:
        """With the passwords, roles and definitions that were prepared."""
        of_postgresql = self.volume("postgresql-secrets")
        redis = (self.volume("redis-secrets") / "redis.conf").read_text()
        postgresql = PostgreSql(
            self.folder / "postgresql", password=(of_postgresql / "password").read_text()
        )
        rabbitmq = RabbitMq(self.folder / "rabbitmq", password="administrator")
        definitions = self.volume("rabbitmq-secrets") / "definitions.json"
        rabbitmq.definitions = json.loads(definitions.read_text())
        cache = Redis(self.folder / "redis", password=redis.split()[1])
        self.servers = [postgresql, rabbitmq, cache]
        for server in self.servers:
            server.start()
            self.ports[f"{server.name}:{SERVERS[server.name]}"] = server.port
        postgresql.execute((of_postgresql / "roles.sql").read_text())
        for file in (self.folder / "volumes").glob("*-secrets/REQRUN_*"):
            here = self.here(file.read_text())
            file.unlink()
            file.write_text(here)

    def run(self, name: str, **changes: str) -> str:
        """A one-shot, to its end; what it printed."""
        return run_once(self.program(name, **changes))

    def run_in(self, name: str, *command: str) -> str:
        """A command in a container that runs; what it printed."""
        inside = (sys.executable, "-m", *command)
        return run_once(msgspec.structs.replace(self.program(name), command=inside))

    def start(self, name: str) -> None:
        self.running[name] = Running(self.program(name))
        self.running[name].start()

    def log(self, name: str) -> str:
        """The end of it."""
        return Path(self.running[name].program.log).read_text()[-2000:]

    def program(self, name: str, **changes: str) -> Program:
        service = self.known[name]
        given = {key: value or "" for key, value in (service.get("environment") or {}).items()}
        values = {key: self.here(self.mounted(name, value)) for key, value in given.items()}
        if values.get("REQRUN_HOST") == "0.0.0.0":  # noqa: S104  what the file says
            values["REQRUN_HOST"] = "127.0.0.1"
        if "REQRUN_OPEN_HOSTS" in values:
            values["REQRUN_OPEN_HOSTS"] = "127.0.0.1"
        for variable in ("REQRUN_PORT", "REQRUN_INTERNAL_PORT", "REQRUN_SMTP_PORT"):
            port = given.get(variable, INTERNAL if variable == "REQRUN_INTERNAL_PORT" else "")
            if port:
                values[variable] = str(self.port(f"{name}:{port}"))
        entry = service.get("entrypoint") or ["python", "-m"]
        return Program(
            name=name,
            command=(sys.executable, "-m", *entry[2:], *service["command"]),
            environment={"PATH": os.defpath, "LANG": "C.UTF-8", **values, **changes},
            folder=str(rendering.ROOT),
            log=str(self.folder / f"{name}.log"),
        )

    def mounted(self, name: str, value: str) -> str:
        """A folder that is a volume in the container."""
        for mount in self.known[name].get("volumes", []):
            if value == mount["target"]:
                return str(self.volume(mount["source"]))
        return value.replace("/tmp/", f"{self.folder}/")  # noqa: S108  in the container

    def here(self, text: str) -> str:
        """`name:port` of a container as an address of this machine."""
        names = "|".join(self.known)
        return re.sub(
            rf"(?<=[/@])({names}):\d+(?=[/,]|$)",  # a user and a password end in @
            lambda found: f"127.0.0.1:{self.port(found[0])}",
            text,
        )

    def port(self, name: str) -> int:
        return self.ports.setdefault(name, free_ports())

    def stop(self) -> None:
        for one in self.running.values():
            one.ask_to_stop()
        for one in self.running.values():
            one.stop()
        for server in reversed(self.servers):
            server.stop()


def is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture
def composed() -> Iterator[Composed]:
    folder = Path(tempfile.mkdtemp(prefix="reqrun-composed-"))
    folder.chmod(0o711)  # the servers' accounts pass through it
    made = Composed(folder)
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.mark.timeout(600)
async def test_the_compose_file_comes_up_and_shows_that_it_works(composed: Composed) -> None:
    composed.prepare()
    composed.start_servers()
    asked_for = [name for name, one in composed.known.items() if one.get("profiles")]
    apart = (*SERVERS, "prepare", "demo", *asked_for)
    left = [name for name in composed.known if name not in apart]
    for name in (name for name in left if composed.known[name].get("restart") == "no"):
        composed.run(name)
    processes = [name for name in left if composed.known[name].get("restart") != "no"]
    for name in processes:
        composed.start(name)
    for name in processes:
        port = composed.port(f"{name}:{INTERNAL}")
        try:
            await until(partial(is_ready, port), 240)
        except AssertionError:
            pytest.fail(f"{name} is not ready: {composed.log(name)}")

    # The file takes these from whoever calls it.
    nobody = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    first, second = composed.run("demo", **nobody), composed.run("demo", **nobody)

    assert "ReqRun is up. A request went in, was kept, run and answered." in first
    assert first == second  # keys cannot be asked for again, so the volume has them

    # Billing asks the stand-in with the key that both were given, and is told by it.
    compared = composed.run_in("billing", "services.billing", "paddle", "reconcile", "--json")
    assert json.loads(compared)

    # The toolbox, which starts only when it is asked for, finds all of it well.
    assert asked_for == ["toolbox"]
    assert "All is well" in composed.run("toolbox")
