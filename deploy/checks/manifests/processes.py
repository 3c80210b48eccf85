"""Every process, as the local stack, the compose file and the manifests start it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from deploy.checks.manifests.objects import (
    Object,
    Overlay,
    container_of,
    pod_of,
    title,
    workloads,
)
from deploy.local import processes as local
from deploy.operator.settings import Settings as Operator
from deploy.secrets.contents import READERS
from libs.common.settings import PREFIX, SECRETS
from services.accounts.settings import MigrationSettings as AccountsMigration
from services.accounts.settings import Settings as Accounts
from services.billing.settings import MigrationSettings as BillingMigration
from services.billing.settings import Settings as Billing
from services.executor.settings import DispatcherSettings, SimulatorSettings
from services.executor.settings import Settings as Executor
from services.gateway.settings import MigrationSettings as GatewayMigration
from services.gateway.settings import Settings as Gateway

Role = tuple[str, str]
"""A service and what it is told to be."""

TOOLBOX: Final[Role] = ("deploy.operator", "stay")
"""The operator's program: it runs where somebody asks for it, and so not everywhere."""

STRUCTS: Final[Mapping[Role, type[msgspec.Struct]]] = {
    ("gateway", "web"): Gateway,
    ("gateway", "migrate"): GatewayMigration,
    ("executor", "worker"): Executor,
    ("executor", "dispatcher"): DispatcherSettings,
    ("executor", "simulator"): SimulatorSettings,
    ("accounts", "web"): Accounts,
    ("accounts", "worker"): Accounts,
    ("accounts", "migrate"): AccountsMigration,
    ("billing", "web"): Billing,
    ("billing", "worker"): Billing,
    ("billing", "migrate"): BillingMigration,
    TOOLBOX: Operator,
}
"""What each reads."""

HANDED_ON: Final[Mapping[str, type[msgspec.Struct]]] = {
    f"{SECRETS}_ACCOUNTS": Accounts,
    f"{SECRETS}_BILLING": Billing,
}
"""What the toolbox reads besides, with the secrets of the folder that this variable names."""


class Process(msgspec.Struct, frozen=True):
    """`secrets`: the variables it gets as files; `values`: the others, as they are.

    `others`: variables in further folders, by what names the folder.
    """

    place: str
    role: Role
    values: Mapping[str, str]
    secrets: frozenset[str]
    others: Mapping[str, frozenset[str]] = {}

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.place}: {' '.join(self.role)}"

    @property
    def given(self) -> frozenset[str]:
        """Every variable it gets."""
        return frozenset(self.values) | self.secrets


class NotUnderstood(Exception):
    """A process is started in a way that this module does not know; the text says which."""


def of_overlay(overlay: Overlay) -> list[Process]:
    """Those of Deployments and Jobs. Raises NotUnderstood."""
    settings = {one["metadata"]["name"]: one.get("data", {}) for one in overlay.of("ConfigMap")}
    return [_of_workload(overlay.name, one, settings) for one in workloads(overlay)]


def of_compose(known: Mapping[str, Any]) -> list[Process]:
    """Those of the compose file that run a service of ours. Raises NotUnderstood."""
    made = (_of_container(name, one) for name, one in known["services"].items())
    return [process for process in made if process is not None]


def of_local() -> list[Role]:
    """The roles that `make up` runs, migrations included."""
    ours = [p for p in (*local.PROCESSES, *local.MIGRATIONS) if p.package == "services"]
    return [(process.service, process.role[0]) for process in ours]


def _of_workload(place: str, found: Object, settings: Mapping[str, Any]) -> Process:
    container = container_of(found)
    values: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if set(source) != {"configMapRef"} or source["configMapRef"]["name"] not in settings:
            raise NotUnderstood(f"{title(found)}: {source} is no ConfigMap of this overlay")
        values |= settings[source["configMapRef"]["name"]]
    for variable in container.get("env", []):
        if "value" not in variable:
            raise NotUnderstood(f"{title(found)}: {variable['name']} is not a plain value")
        values[variable["name"]] = variable["value"]
    folder = values.pop(SECRETS, "")
    names = frozenset(_mounted(found, folder))
    others = {
        name: frozenset(_mounted(found, values[name])) for name in HANDED_ON if name in values
    }
    role = _role(container["args"], found)
    return Process(f"{place} {title(found)}", role, values, names, others)


def _mounted(found: Object, folder: str) -> Iterator[str]:
    """The variables whose files are in the folder of secrets."""
    mounts = container_of(found).get("volumeMounts", [])
    names = [mount["name"] for mount in mounts if mount["mountPath"] == folder]
    for volume in pod_of(found).get("volumes", []):
        if volume["name"] in names:
            yield from _of_reader(volume["secret"]["secretName"])


def _of_container(name: str, found: Object) -> Process | None:
    command = found.get("command") or []
    if not str(command[:1]).startswith("['services."):
        return None
    values = {key: str(value) for key, value in (found.get("environment") or {}).items()}
    folder = values.pop(SECRETS, "")
    volumes = [v["source"] for v in found.get("volumes", []) if v["target"] == folder]
    names = frozenset(one for volume in volumes for one in _of_reader(_reader(volume)))
    return Process(f"compose {name}", _role(command, found), values, names)


def _reader(volume: str) -> str:
    return volume.removesuffix("-secrets")


def _of_reader(name: str) -> Iterator[str]:
    if name not in READERS:
        raise NotUnderstood(f"deploy/secrets makes no secret called {name}")
    yield from (PREFIX + variable for variable in READERS[name])


def _role(command: list[str], found: Object) -> Role:
    module, *rest = command
    role = (module.removeprefix("services."), " ".join(rest))
    if role not in STRUCTS:
        raise NotUnderstood(f"nobody says which Struct {command} reads ({found.get('kind', '')})")
    return role
