"""What the figures were measured on. Nothing here names a machine, a person or a path."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec

from deploy.local.servers.postgresql import binaries
from deploy.local.site import ROOT

_LIBRARIES = ("aio-pika", "asyncpg", "httpx2", "litestar", "msgspec", "redis", "uvicorn", "uvloop")
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine and what is installed on it. `revision`: of the code, None outside git."""

    cores: int
    processor: str
    memory_gib: int
    kernel: str
    python: str
    servers: Mapping[str, str]
    libraries: Mapping[str, str]
    revision: str | None


def describe() -> Machine:
    """The one we run on."""
    return Machine(
        cores=os.cpu_count() or 1,
        processor=_processor(),
        memory_gib=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        kernel=platform.release(),
        python=platform.python_version(),
        servers={
            "nginx": _version("nginx", "-v"),
            "node": _version("node", "--version"),
            "postgresql": _version(str(binaries() / "postgres"), "--version"),
            "rabbitmq": _package("rabbitmq-server"),
            "redis": _version("redis-server", "--version"),
        },
        libraries={name: version(name) for name in _LIBRARIES},
        revision=_output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") or None,
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(program: str, option: str) -> str:
    return _first_number(_output(program, option))


def _package(name: str) -> str:
    """RabbitMQ tells its version only after seconds; its package knows it too."""
    return _first_number(_output("dpkg-query", "--show", "--showformat=${Version}", name))


def _first_number(text: str) -> str:
    found = _NUMBER.search(text)
    return found.group() if found else "unknown"


def _output(program: str, *arguments: str) -> str:
    """What it says, on either stream; nothing when it is not there or fails."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is None:
        return ""
    done = subprocess.run(  # noqa: S603  programs named above
        (path, *arguments), capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""
