"""Which installation is looked after, and the settings of each part of it.

The services call their databases by the same variable, so each part gets an environment of its own:
of the local stack in `.reqrun/`, which knows everybody's, or of the variables, where the folders
`REQRUN_SECRETS_ACCOUNTS` and `REQRUN_SECRETS_BILLING` stand in for `REQRUN_SECRETS`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.local import processes
from deploy.local.processes import OPERATOR, PROCESSES
from deploy.local.site import ROOT, Site
from libs.common.settings import SECRETS

LOCAL: Final = ROOT / ".reqrun"
_NAMED_BY: Final = ("REQRUN_LEDGER_URL", SECRETS)
_PARTS: Final = ("accounts", "billing", "dispatcher")

Environment = Mapping[str, str]


class Installation:
    """The environment of each part, by its name; `operator` is our own."""

    def __init__(self, parts: Mapping[str, Environment], folder: Path | None = None) -> None:
        """`folder`: of a local stack."""
        self._parts, self.folder = parts, folder

    @property
    def own(self) -> Environment:
        """Of this program."""
        return self._parts["operator"]

    def part(self, name: str) -> Environment:
        """Of one of the services' processes: accounts, billing, dispatcher."""
        return self._parts[name]


def find(environ: Environment, folder: Path = LOCAL) -> Installation:
    """What the environment names; else the local stack, if one was ever started here."""
    if any(name in environ for name in _NAMED_BY) or not (folder / "ports.json").exists():
        return of_environment(environ)
    return of_stack(Site(folder, {}, {}), environ)


def of_environment(environ: Environment) -> Installation:
    """Everybody's from one environment."""
    return Installation({"operator": environ, **{part: _of_part(environ, part) for part in _PARTS}})


def of_stack(site: Site, environ: Environment) -> Installation:
    """Everybody's as the stack starts them; what only a caller has from `environ`."""
    chosen = [OPERATOR, *(one for one in PROCESSES if one.name in _PARTS)]
    parts = {one.name: {**environ, **_environment(site, one)} for one in chosen}
    return Installation(parts, site.folder)


def _of_part(environ: Environment, part: str) -> Environment:
    """With a folder of its own, whatever is in there is not taken from our own variables."""
    folder = environ.get(f"{SECRETS}_{part.upper()}")
    if folder is None:
        return environ
    own = {name: text for name, text in environ.items() if not (Path(folder) / name).exists()}
    return {**own, SECRETS: folder}


def _environment(site: Site, process: processes.Process) -> Environment:
    return site.program(process).environment
