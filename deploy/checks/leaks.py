"""Secrets in the tree: `python -m deploy.checks.leaks [--accept]`.

What detect-secrets finds and `.secrets.baseline` does not list is a failure. `--accept` lists what
is found now: look at each before. Line numbers do not count, so an edit nearby changes nothing.
"""

import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / ".secrets.baseline"
_SECONDS = 300


class Finding(msgspec.Struct, frozen=True):
    """One text that looks like a secret, hashed."""

    type: str
    hashed_secret: str
    line_number: int = 0


class Scan(msgspec.Struct, frozen=True):
    """detect-secrets' JSON."""

    results: dict[str, list[Finding]] = {}


def files() -> list[str]:
    """Everything that is or could be committed, locks and the baseline excepted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = _run(command).decode().splitlines()
    return [f for f in listed if not f.endswith((".lock", ".baseline")) and (ROOT / f).is_file()]


def unlisted(found: Scan, accepted: Scan) -> list[str]:
    """Findings that the baseline does not know, as `file:line type`."""
    known = {
        (file, finding.hashed_secret)
        for file, findings in accepted.results.items()
        for finding in findings
    }
    return [
        f"{file}:{finding.line_number} {finding.type}"
        for file, findings in found.results.items()
        for finding in findings
        if (file, finding.hashed_secret) not in known
    ]


def main(arguments: list[str]) -> int:
    """Scan; the process's exit code."""
    raw = _run([sys.executable, "-m", "detect_secrets", "scan", "--all-files", *files()])
    if arguments == ["--accept"]:
        BASELINE.write_bytes(raw)
        return 0
    accepted = Scan()
    if BASELINE.exists():
        accepted = msgspec.json.decode(BASELINE.read_bytes(), type=Scan)
    news = unlisted(msgspec.json.decode(raw, type=Scan), accepted)
    sys.stdout.write("".join(f"{line}\n" for line in news) or "no unknown secret\n")
    return 1 if news else 0


def _run(command: list[str]) -> bytes:
    done = subprocess.run(  # noqa: S603  the command is ours
        command, cwd=ROOT, capture_output=True, timeout=_SECONDS, check=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
