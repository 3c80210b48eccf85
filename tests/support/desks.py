"""An operator at `reqrun`: in this process for answers, in one of its own for what is printed."""

import io
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from deploy.local.processes import OPERATOR
from deploy.local.site import Site
from deploy.operator import pictures, table
from deploy.operator.desk import Desk
from deploy.operator.doctor.check import Finding
from deploy.operator.installation import Installation, of_environment, of_stack
from deploy.operator.screen import Screen
from libs.common.clock import SystemClock

ROOT: Final = Path(__file__).resolve().parents[2]
_PARTS: Final = ("accounts", "billing", "dispatcher")


class LateClock(SystemClock):
    """The machine's clock, so much behind."""

    def __init__(self, behind: timedelta) -> None:
        self._behind = behind

    def now(self) -> Any:
        return super().now() - self._behind


class AtDesk:
    """Answers as data."""

    def __init__(self, installation: Installation, clock: SystemClock | None = None) -> None:
        self.installation, self._clock = installation, clock or SystemClock()

    @classmethod
    def of(cls, site: Site, **environ: str) -> "AtDesk":
        return cls(of_stack(site, environ))

    def ask(self, *words: str) -> Any:
        screen = Screen(pictures.of, is_json=False, out=io.StringIO())
        given = table.parser().parse_args(words)
        return table.answer(Desk(self.installation, screen, self._clock), given)

    def at(self, clock: SystemClock) -> "AtDesk":
        return AtDesk(self.installation, clock)

    def findings(self, *only: str) -> dict[str, Finding]:
        starts = [word for start in only for word in ("--only", start)]
        return {one.check: one for one in self.ask("doctor", *starts).findings}


def environment(site: Site, folder: Path) -> dict[str, str]:
    """As in a cluster: our own as variables, each service's as files in a folder of its own."""
    parts = of_stack(site, {})
    environ = dict(site.program(OPERATOR).environment)
    for part in _PARTS:
        own = folder / part
        _write(own, parts.part(part))
        environ[f"REQRUN_SECRETS_{part.upper()}"] = str(own)
    return environ


def _write(folder: Path, environ: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in environ.items():
        if name.startswith("REQRUN_"):
            file = folder / name
            file.write_text(text)
            file.chmod(0o440)


def run(
    environ: Mapping[str, str], *words: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`reqrun …` as a process."""
    return subprocess.run(  # noqa: S603  the command is ours
        [sys.executable, "-m", "deploy.operator", *words],
        cwd=ROOT,
        env=dict(environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


__all__ = ["AtDesk", "LateClock", "environment", "of_environment", "run"]
