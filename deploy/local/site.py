"""One stack's facts (folder, ports, keys), and the environments made from them."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.keys.facts import facts as key_facts
from deploy.local import keys, places
from deploy.local.ports import free_ports, is_free
from deploy.local.processes import PUBLIC, SMTP, Process
from deploy.local.programs import Program
from libs.common.settings import PREFIX

ROOT = Path(__file__).resolve().parents[2]
_NEIGHBOURS = {"rabbitmq": 3}
MARK = "REQRUN_STACK"
_COMMON = {"ENV": "local", "LOG_LEVEL": "info", "HOST": "127.0.0.1"}


class Ports:
    """Ports by name, chosen when first asked for and kept in a file."""

    def __init__(self, file: Path, preferred: Mapping[str, int]) -> None:
        """`preferred`: what a name gets if that port is free."""
        self._file = file
        self._preferred = preferred
        self._chosen: dict[str, int] = {}
        if file.exists():
            self._chosen = msgspec.json.decode(file.read_bytes(), type=dict[str, int])

    def __getitem__(self, name: str) -> int:
        """The port with this name, the same at every start."""
        if name not in self._chosen:
            wanted = self._preferred.get(name)
            is_wanted_free = wanted is not None and is_free(wanted)
            count = _NEIGHBOURS.get(name, 1)
            self._chosen[name] = (
                wanted if wanted and is_wanted_free else free_ports(count, but=self._taken())
            )
            self._save()
        return self._chosen[name]

    def _taken(self) -> set[int]:
        """What is chosen already, and may not be bound yet."""
        return {
            first + neighbour
            for name, first in self._chosen.items()
            for neighbour in range(_NEIGHBOURS.get(name, 1))
        }

    def forget_taken(self) -> None:
        """Choose again where somebody else took a port. Only while nothing of ours runs."""
        self._chosen = {name: port for name, port in self._chosen.items() if is_free(port)}
        if self._file.exists():
            self._save()

    def _save(self) -> None:
        self._file.write_bytes(msgspec.json.encode(self._chosen))


class Site:
    """Where everything of one stack is. The first one in a folder makes its keys."""

    def __init__(
        self, folder: Path, settings: Mapping[str, str], preferred_ports: Mapping[str, int]
    ) -> None:
        """`settings`: variables that every process gets, without their prefix."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.data = places.server_folder(self.folder / "data")
        self.keys = keys.load_or_make(self.folder)
        self.ports = Ports(self.folder / "ports.json", preferred_ports)
        self._settings = settings

    def marked(self, program: Program) -> Program:
        """The same program with a mark in its environment that tells whose it is."""
        environment = {**program.environment, MARK: str(self.folder)}
        return msgspec.structs.replace(program, environment=environment)

    def program(self, process: Process) -> Program:
        """How to run one process."""
        return Program(
            name=process.name,
            command=(sys.executable, "-m", f"{process.package}.{process.service}", *process.role),
            environment=self._environment(process),
            folder=str(ROOT),
            log=str(self.logs / f"{process.name}.log"),
        )

    def _environment(self, process: Process) -> dict[str, str]:
        facts = self._facts()
        own = {name: text.format_map(facts) for name, text in process.settings.items()}
        ports = {name: str(self.ports[port_name(process.name, name)]) for name in process.ports}
        chosen = {**_COMMON, **ports, **own, **self._settings}
        named = {PREFIX + name: text for name, text in chosen.items()}
        return {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **named}

    def _facts(self) -> dict[str, object]:
        """What the templates of processes.py may name."""
        return {
            "folder": self.folder,
            "port": self.ports,
            "password": {**self.keys.servers, **self.keys.services},
            "owner": self.keys.owners,
            "paddle": self.keys.paddle,
            "key": key_facts(self.keys.material),
        }


def port_name(process: str, setting: str) -> str:
    """What a process's port is called: its own name for the public one."""
    return {PUBLIC: process, SMTP: f"{process}-smtp"}.get(setting, f"{process}-internal")
