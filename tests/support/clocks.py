"""Wall clocks that a test sets while processes run, by libfaketime; other clocks go on as they do.

Debian's package is fetched when it is not installed: it is for these tests only.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import msgspec

from deploy.local.programs import Controlled, Program, run_once
from tests.support.servers import folder_for_servers

_PACKAGE: Final = "libfaketime"
_LIBRARY: Final = "libfaketime.so.1"


class WallClock:
    """What time it is for the programs that look at it."""

    def __init__(self, folder: Path, library: Path) -> None:
        """`folder`: one that every account can enter. Right until `shift`."""
        self._file, self._library = folder / "shift", library
        self.shift(timedelta())

    @classmethod
    @contextmanager
    def ready(cls) -> Iterator[Self]:
        """One that can be given to programs until the block ends."""
        with folder_for_servers() as folder:
            yield cls(folder, _find(folder))

    def shift(self, by: timedelta) -> None:
        """It is so much later than it is; earlier, where `by` is below zero."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{by.total_seconds():+.0f}s\n")
        fresh.chmod(0o644)
        fresh.replace(self._file)

    def give_to(self, target: Controlled) -> None:
        """From its next start on."""
        target.program = _with(target.program, self._environment())

    def _environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def _with(program: Program, more: Mapping[str, str]) -> Program:
    return msgspec.structs.replace(program, environment={**program.environment, **more})


def _find(folder: Path) -> Path:
    """The library: the system's, or one that is unpacked into the folder."""
    installed = list(Path("/usr/lib").glob(f"*/faketime/{_LIBRARY}"))
    if installed:
        return installed[0]
    _run(folder, "apt-get", "download", _PACKAGE)
    [archive] = folder.glob(f"{_PACKAGE}_*.deb")
    _run(folder, "dpkg-deb", "-x", archive.name, "unpacked")
    [library] = (folder / "unpacked").rglob(_LIBRARY)
    return library


def _run(folder: Path, *command: str) -> None:
    environment = {"PATH": f"{os.defpath}:/usr/sbin:/sbin"}
    run_once(Program(name=command[0], command=command, environment=environment, folder=str(folder)))
