"""Where peers are installed: a folder for each and each version, outside the project."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_SECONDS = 900.0
_LAST_LINES = 3
_DONE = "installed"
_REQUIREMENTS = Path(__file__).parent / "requirements"


class NotInstalled(Exception):
    """A peer cannot be had here; the text says why."""


def pins(name: str) -> str:
    """What is pinned of a peer, on one line."""
    return " ".join((_REQUIREMENTS / f"{name}.txt").read_text().split())


def python(name: str) -> Path:
    """An interpreter with what `requirements/<name>.txt` pins. Raises NotInstalled."""
    file = _REQUIREMENTS / f"{name}.txt"

    def install(folder: Path) -> None:
        uv = Path(sys.executable).with_name("uv")
        _run(str(uv), "venv", "--quiet", "--python", sys.executable, str(folder))
        interpreter = str(folder / "bin" / "python")
        _run(str(uv), "pip", "install", "--quiet", "--python", interpreter, "-r", str(file))

    return _made(name, file.read_bytes(), install) / "bin" / "python"


def node(name: str) -> Path:
    """The `node_modules` with the package that `requirements/<name>.txt` pins; NotInstalled."""
    package = pins(name)

    def install(folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("npm is not installed")
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        _run(npm, "install", *options, "--prefix", str(folder), package)

    return _made(name, package.encode(), install) / "node_modules"


def _made(name: str, pins: bytes, install: Callable[[Path], None]) -> Path:
    """The peer's folder; made anew unless it was made to its end."""
    digest = hashlib.sha256(pins + sys.version.encode()).hexdigest()[:12]
    folder = _cache() / f"{name}-{digest}"
    if not (folder / _DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(folder)
        (folder / _DONE).touch()
    return folder


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "reqrun-bench"


def _run(*command: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603  commands of this module
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise NotInstalled(str(failure)) from failure
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotInstalled(" ".join(said[-_LAST_LINES:]) or "the installer failed")
