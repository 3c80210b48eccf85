"""Secrets in the tree: `python -m deploy.checks.leaks [--accept]`.

What detect-secrets finds and `.secrets.baseline` does not list is a failure. `--accept` lists what
is found now: look at each before. Line numbers do not count, so an edit nearby changes nothing.
A scan of no file is a failure, and so is one that does not see what is planted for it. A file that
is as it was when this very scanner found nothing in it is not scanned again: MEMORY has its digest.
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / ".secrets.baseline"
MEMORY = ROOT / ".leaks_cache"
# In two pieces, or it would be found here.
PLANTED = "-----BEGIN " + "RSA PRIVATE KEY-----"
_SECONDS = 300
_AT_ONCE = 2


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
    listed = _run(command, ROOT).decode().splitlines()
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


def sees(planted: str) -> bool:
    """Whether the scanner finds it in a file of its own: silence may also be blindness."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "planted.txt"
        file.write_text(f"{planted}\n")
        return bool(_scan([file.name], Path(folder)).results)


def verdict(looked_at: Sequence[str], news: Sequence[str], *, is_awake: bool) -> tuple[bool, str]:
    """Whether `make check` may go on, and what to say."""
    if not looked_at:
        return False, "no file was scanned"
    if not is_awake:
        return False, "the scanner does not see a planted key: NOTHING WAS CHECKED"
    return not news, "\n".join(news) or f"no unknown secret in {len(looked_at)} files"


def main(arguments: list[str]) -> int:
    """Scan; the process's exit code."""
    looked_at = files()
    if arguments == ["--accept"]:
        BASELINE.write_bytes(_raw(looked_at, ROOT))
        return 0
    accepted = Scan()
    if BASELINE.exists():
        accepted = msgspec.json.decode(BASELINE.read_bytes(), type=Scan)
    found = scan_changed(looked_at, ROOT, MEMORY)
    may_go_on, text = verdict(looked_at, unlisted(found, accepted), is_awake=sees(PLANTED))
    sys.stdout.write(f"{text}\n")
    return 0 if may_go_on else 1


def scan_changed(looked_at: Sequence[str], folder: Path, memory: Path) -> Scan:
    """Scan what is not remembered as clean, and remember what is."""
    digests = {file: _digest(folder / file) for file in looked_at}
    clean = set(memory.read_text().split()) if memory.exists() else set()
    changed = [file for file, digest in digests.items() if digest not in clean]
    found = _scan(changed, folder)
    clean_now = {digest for file, digest in digests.items() if file not in found.results}
    memory.write_text("\n".join(sorted(clean_now)))
    return found


def _digest(file: Path) -> str:
    """Of content, name and scanner: the scanner judges by all three."""
    parts = (version("detect-secrets").encode(), file.name.encode(), file.read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _scan(looked_at: Sequence[str], folder: Path) -> Scan:
    """A process for each part: a scan is all computing."""
    parts = [part for n in range(_AT_ONCE) if (part := looked_at[n::_AT_ONCE])]
    with ThreadPoolExecutor() as pool:
        raws = list(pool.map(partial(_raw, folder=folder), parts))
    scans = [msgspec.json.decode(raw, type=Scan) for raw in raws]
    return Scan({file: found for scan in scans for file, found in scan.results.items()})


def _raw(looked_at: Sequence[str], folder: Path) -> bytes:
    # In the folder itself: with its option -C, detect-secrets 1.5 looks at nothing.
    command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", *looked_at]
    return _run(command, folder)


def _run(command: list[str], folder: Path) -> bytes:
    done = subprocess.run(  # noqa: S603  the command is ours
        command, cwd=folder, capture_output=True, timeout=_SECONDS, check=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
