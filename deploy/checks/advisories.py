"""Known vulnerabilities in the locked packages: `python -m deploy.checks.advisories <lock>…`.

pip-audit says "No known vulnerabilities found" and ends well even when it could look up nothing.
Here nothing looked up is SKIPPED, in capitals, and something left out is a failure.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

SOURCES = ("pypi", "osv")
_SECONDS = 300


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


def verdict(lock: str, report: Report) -> tuple[bool, str]:
    """Whether `make check` may go on, and what to say."""
    known = [package for package in report.dependencies if not package.skip_reason]
    if not known:
        return True, f"SKIPPED: no advisory source could be reached, {lock} WAS NOT CHECKED"
    bad = [f"{p.name} {p.version}: {v.id}" for p in known for v in p.vulns]
    left_out = len(report.dependencies) - len(known)
    if bad or left_out:
        problems = [*bad, *([f"{left_out} packages could not be looked up"] if left_out else [])]
        return False, f"{lock}: " + "; ".join(problems)
    return True, f"{lock}: no known vulnerability in {len(known)} packages"


def main(locks: list[str]) -> int:
    """Audit each lock with the first source that answers; the process's exit code."""
    is_good = True
    for lock in locks:
        reports = (audit(lock, source) for source in SOURCES)
        looked_up = (r for r in reports if any(not p.skip_reason for p in r.dependencies))
        may_go_on, text = verdict(lock, next(looked_up, Report()))
        sys.stdout.write(f"{text}\n")
        is_good &= may_go_on
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
