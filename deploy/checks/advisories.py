"""Known vulnerabilities in the locked packages: `python -m deploy.checks.advisories <lock>…`.

pip-audit says "No known vulnerabilities found" and ends well even when it could look up nothing.
Here nothing looked up is SKIPPED, in capitals, or a failure with `--required` (`make check
AUDIT=required`, for where there is a network); something left out is always a failure. What needs
no look-up is checked wherever it runs: that a lock locks something, and nothing below FLOORS.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from packaging.version import Version

SOURCES = ("pypi", "osv")
REQUIRED: Final = "--required"
_SECONDS = 300

FLOORS: Final[Mapping[str, tuple[str, str]]] = {
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "cryptography": ("44.0.1", "CVE-2024-12797"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "idna": ("3.7", "CVE-2024-3651"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "litestar": ("2.25.0", "CVE-2025-59152, PYSEC-2026-2603 and what lies between"),
    "mako": ("1.2.2", "CVE-2022-40023"),
    "protobuf": ("6.31.1", "CVE-2025-4565"),
    "pyjwt": ("2.10.1", "CVE-2024-53861"),
    "redis": ("4.5.4", "CVE-2023-28859"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "urllib3": ("2.5.0", "CVE-2025-50181"),
    "werkzeug": ("3.0.6", "CVE-2024-49767"),
}
"""The first version without the weakness that is named. Who learns of another adds it."""


class Advisory(msgspec.Struct, frozen=True):
    """One known vulnerability."""

    id: str
    fix_versions: list[str] = []


class Package(msgspec.Struct, frozen=True):
    """What was found for one package. With `skip_reason` nothing was looked up."""

    name: str
    version: str = ""
    vulns: list[Advisory] = []
    skip_reason: str = ""


class Report(msgspec.Struct, frozen=True):
    """pip-audit's JSON."""

    dependencies: list[Package] = []


def audit(lock: str, source: str) -> Report:
    """Ask one source; an empty report when it cannot be reached."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "-s", source]
        command += ["-r", lock, "-f", "json", "-o", str(file)]
        subprocess.run(  # noqa: S603  the command is ours
            command, capture_output=True, timeout=_SECONDS, check=False
        )
        return msgspec.json.decode(file.read_bytes(), type=Report) if file.exists() else Report()


def pinned(text: str) -> dict[str, str]:
    """What a lock holds: version by name."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))


def below(pins: Mapping[str, str]) -> list[str]:
    """What is older than FLOORS says."""
    return [
        f"{name} {pins[name]}: {why}, mended in {floor}"
        for name, (floor, why) in FLOORS.items()
        if name in pins and Version(pins[name]) < Version(floor)
    ]


def known(lock: str, text: str) -> tuple[bool, str]:
    """What can be said of a lock without a look-up: whether it is good, and what to say."""
    pins = pinned(text)
    if not pins:
        return False, f"{lock}: locks nothing"
    bad = below(pins)
    return not bad, f"{lock}: " + ("; ".join(bad) or f"{len(pins)} packages, none below a floor")


def widest(pins: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The locks worth a look-up: what lies wholly within another is looked up with that one."""
    return [
        lock
        for lock, own in pins.items()
        if not any(own.items() < other.items() for other in pins.values())
    ]


def verdict(lock: str, report: Report, *, is_required: bool = False) -> tuple[bool, str]:
    """Whether `make check` may go on, and what to say."""
    found = [package for package in report.dependencies if not package.skip_reason]
    if not found:
        text = f"no advisory source could be reached, {lock} WAS NOT LOOKED UP"
        return not is_required, text if is_required else f"SKIPPED: {text}"
    bad = [f"{p.name} {p.version}: {v.id}" for p in found for v in p.vulns]
    left_out = len(report.dependencies) - len(found)
    if bad or left_out:
        problems = [*bad, *([f"{left_out} packages could not be looked up"] if left_out else [])]
        return False, f"{lock}: " + "; ".join(problems)
    return True, f"{lock}: no known vulnerability in {len(found)} packages"


def main(arguments: list[str]) -> int:
    """Check each lock, and audit it with the first source that answers; the exit code."""
    is_required = REQUIRED in arguments
    locks = [name for name in arguments if name != REQUIRED]
    texts = {lock: Path(lock).read_text() for lock in locks}
    verdicts = [known(lock, text) for lock, text in texts.items()]
    for lock in widest({lock: pinned(text) for lock, text in texts.items()}):
        with ThreadPoolExecutor() as pool:  # most of it is waiting
            reports = list(pool.map(partial(audit, lock), SOURCES))
        looked_up = (r for r in reports if any(not p.skip_reason for p in r.dependencies))
        verdicts.append(verdict(lock, next(looked_up, Report()), is_required=is_required))
    sys.stdout.writelines(f"{text}\n" for _, text in verdicts)
    return 0 if verdicts and all(is_good for is_good, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
